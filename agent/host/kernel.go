package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	gohost "github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/net"
)

// ask runs a question to this machine's kernel; a captured machine has none
// that could answer.
func ask[T any](h *Host, what string, question func() (T, error)) (T, error) {
	var none T
	if !h.live {
		return none, fmt.Errorf("%s of a machine that is not running here: %w", what, errors.ErrUnsupported)
	}
	answer, err := question()
	if err != nil {
		return none, fmt.Errorf("ask for %s: %w", what, err)
	}
	return answer, nil
}

// Hostname returns the name that the kernel has of the machine.
func (h *Host) Hostname() (string, error) {
	return ask(h, "host name", os.Hostname)
}

// Kernel returns the version of the running kernel and the machine's
// architecture as uname -m gives it. It does not run lsb_release, as
// gopsutil's host.Info would.
func (h *Host) Kernel(ctx context.Context) (version, machine string, err error) {
	type answer struct{ version, machine string }
	a, err := ask(h, "kernel version", func() (a answer, err error) {
		if a.version, err = gohost.KernelVersionWithContext(ctx); err != nil {
			return a, err
		}
		a.machine, err = gohost.KernelArch()
		return a, err
	})
	return a.version, a.machine, err
}

// Processor is one logical or physical processor, as the OS lists them.
type Processor struct {
	Model  string
	Socket string
	Cores  int
	MHz    float64
}

// Processors returns the machine's processors. On ARM under Linux, the model is
// looked up by implementer and part.
func (h *Host) Processors(ctx context.Context) ([]Processor, error) {
	return ask(h, "processors", func() ([]Processor, error) {
		infos, err := cpu.InfoWithContext(ctx)
		out := make([]Processor, 0, len(infos))
		for _, i := range infos {
			out = append(out, Processor{Model: i.ModelName, Socket: i.PhysicalID, Cores: int(i.Cores), MHz: i.Mhz})
		}
		return out, err
	})
}

// LogicalProcessors returns the number of hardware threads.
func (h *Host) LogicalProcessors(ctx context.Context) (int, error) {
	return ask(h, "number of processors", func() (int, error) { return cpu.CountsWithContext(ctx, true) })
}

// Memory returns the bytes of main memory that the OS has.
func (h *Host) Memory(ctx context.Context) (int64, error) {
	return ask(h, "memory", func() (int64, error) {
		m, err := mem.VirtualMemoryWithContext(ctx)
		if err != nil {
			return 0, err
		}
		return int64(min(m.Total, 1<<62)), nil
	})
}

// Usage is the room on a file system, in bytes.
type Usage struct {
	Size int64
	// Free is what an ordinary user can still write.
	Free int64
}

// Usage returns the room on the file system mounted at path. It must not be
// asked of network file systems: it can hang for as long as their server is
// away, and cannot be stopped.
func (h *Host) Usage(ctx context.Context, path string) (Usage, error) {
	return ask(h, "space on "+path, func() (Usage, error) {
		u, err := disk.UsageWithContext(ctx, path)
		if err != nil {
			return Usage{}, err
		}
		return Usage{Size: int64(min(u.Total, 1<<62)), Free: int64(min(u.Free, 1<<62))}, nil
	})
}

// NetworkInterface is a network interface of the kernel.
type NetworkInterface struct {
	Name string
	// MAC is aa:bb:cc:dd:ee:ff, empty for interfaces without.
	MAC string
	// Addresses are in CIDR notation.
	Addresses []string
	Loopback  bool
}

// NetworkInterfaces returns the interfaces with their addresses.
func (h *Host) NetworkInterfaces(ctx context.Context) ([]NetworkInterface, error) {
	return ask(h, "network interfaces", func() ([]NetworkInterface, error) {
		list, err := net.InterfacesWithContext(ctx)
		out := make([]NetworkInterface, 0, len(list))
		for _, i := range list {
			n := NetworkInterface{Name: i.Name, MAC: strings.ToLower(i.HardwareAddr), Loopback: slices.Contains(i.Flags, "loopback")}
			for _, a := range i.Addrs {
				n.Addresses = append(n.Addresses, a.Addr)
			}
			out = append(out, n)
		}
		return out, err
	})
}
