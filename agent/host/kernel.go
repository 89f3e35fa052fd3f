package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	gohost "github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/net"
)

// Hostname returns the name that the kernel has of the machine.
func (h *Host) Hostname() (string, error) {
	return ask(h, "hostname", os.Hostname)
}

// Kernel returns the version of the running kernel and the machine's
// architecture as uname -m gives it. It does not run lsb_release, as
// gopsutil's host.Info would.
func (h *Host) Kernel(ctx context.Context) (version, machine string, err error) {
	type answer struct {
		Version string `json:"version"`
		Machine string `json:"machine"`
	}
	a, err := ask(h, "kernel", func() (a answer, err error) {
		if a.Version, err = gohost.KernelVersionWithContext(ctx); err != nil {
			return a, err
		}
		a.Machine, err = gohost.KernelArch()
		return a, err
	})
	return a.Version, a.Machine, err
}

// Processor is one logical or physical processor, as the OS lists them.
type Processor struct {
	Model  string  `json:"model,omitempty"`
	Socket string  `json:"socket,omitempty"`
	Cores  int     `json:"cores,omitempty"`
	MHz    float64 `json:"mhz,omitempty"`
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
	return ask(h, "logical_processors", func() (int, error) { return cpu.CountsWithContext(ctx, true) })
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

// LoadAverage returns how many tasks ran or waited to run, on average of the last
// minute. Windows counts none.
func (h *Host) LoadAverage(ctx context.Context) (float64, error) {
	return ask(h, "load_average", func() (float64, error) {
		if h.OS == "windows" {
			return 0, fmt.Errorf("windows keeps no load average: %w", errors.ErrUnsupported)
		}
		a, err := load.AvgWithContext(ctx)
		if err != nil {
			return 0, err
		}
		return a.Load1, nil
	})
}

// Busy returns the share of time, in percent, that the processors worked in the
// second that it takes to find out.
func (h *Host) Busy(ctx context.Context) (float64, error) {
	return ask(h, "busy", func() (float64, error) {
		shares, err := cpu.PercentWithContext(ctx, time.Second, false)
		if err != nil || len(shares) == 0 {
			return 0, errors.Join(errors.New("no processor tells its times"), err)
		}
		return shares[0], nil
	})
}

// Usage is the room on a file system, in bytes.
type Usage struct {
	Size int64 `json:"size"`
	// Free is what an ordinary user can still write.
	Free int64 `json:"free"`
}

// Usage returns the room on the file system mounted at path. It must not be
// asked of network file systems: it can hang for as long as their server is
// away, and cannot be stopped.
func (h *Host) Usage(ctx context.Context, path string) (Usage, error) {
	return ask(h, "usage "+path, func() (Usage, error) {
		u, err := disk.UsageWithContext(ctx, path)
		if err != nil {
			return Usage{}, err
		}
		return Usage{Size: int64(min(u.Total, 1<<62)), Free: int64(min(u.Free, 1<<62))}, nil
	})
}

// NetworkInterface is a network interface of the kernel.
type NetworkInterface struct {
	Name string `json:"name"`
	// MAC is aa:bb:cc:dd:ee:ff, empty for interfaces without.
	MAC string `json:"mac,omitempty"`
	// Addresses are in CIDR notation.
	Addresses []string `json:"addresses,omitempty"`
	Loopback  bool     `json:"loopback,omitempty"`
}

// NetworkInterfaces returns the interfaces with their addresses.
func (h *Host) NetworkInterfaces(ctx context.Context) ([]NetworkInterface, error) {
	return ask(h, "interfaces", func() ([]NetworkInterface, error) {
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
