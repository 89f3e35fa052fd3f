package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// maxCPUInfo holds some 4,000 processors.
	maxCPUInfo = 8 << 20
	cpuDir     = "sys/devices/system/cpu"
)

// architectures are our names of the machines that uname names otherwise.
var architectures = map[string]string{
	"aarch64": "arm64", "armv8l": "arm64", "amd64": "x86_64", "i386": "x86", "i486": "x86", "i586": "x86", "i686": "x86",
}

// architecture returns the architecture of the machine.
func architecture(ctx context.Context, h *host.Host) string {
	_, name, err := h.Kernel(ctx)
	if err != nil {
		// Kernels since 6.1 say it in a file, which a capture has.
		a := &attributes{h: h}
		name = a.text("proc/sys/kernel/arch")
	}
	name = plainText([]byte(name))
	if ours, ok := architectures[name]; ok {
		return ours
	}
	return name
}

// processors is what /proc/cpuinfo tells.
type processors struct {
	model                   string
	sockets, cores, threads int
	// mhz is the present clock of the first one; virtual: a hypervisor keeps it
	// constant.
	mhz     float64
	virtual bool
}

// decodeCPUInfo reads /proc/cpuinfo. Only x86 states sockets and cores there;
// elsewhere they stay 0.
func decodeCPUInfo(data []byte) processors {
	var p processors
	var socket, core string
	var stated int
	// sockets has how many cores each states, some of which can be offline.
	sockets, cores := make(map[string]int), make(map[[2]string]bool)
	flush := func() {
		// What stands before the first processor is of none.
		if socket != "" && p.threads > 0 {
			sockets[socket] = max(sockets[socket], stated)
			if core != "" {
				cores[[2]string{socket, core}] = true
			}
		}
		socket, core, stated = "", "", 0
	}
	for line := range bytes.Lines(data) {
		k, v, _ := bytes.Cut(line, []byte(":"))
		switch string(bytes.TrimSpace(k)) {
		case "processor":
			flush()
			p.threads++
		case "model name", "cpu", "Processor":
			// Old kernels for ARM name it in a line of a capital letter.
			if p.model == "" {
				p.model = strings.Join(strings.Fields(plainText(v)), " ")
			}
		case "cpu model":
			// MIPS and Alpha, where the line before can be the architecture.
			p.model = strings.Join(strings.Fields(plainText(v)), " ")
		case "cpu MHz":
			if p.mhz == 0 {
				// Without one it stays 0, which is what is left out.
				p.mhz, _ = strconv.ParseFloat(string(bytes.TrimSpace(v)), 64)
			}
		case "flags":
			p.virtual = p.virtual || bytes.Contains(v, []byte(" hypervisor"))
		case "physical id":
			socket = string(bytes.TrimSpace(v))
		case "core id":
			core = string(bytes.TrimSpace(v))
		case "cpu cores":
			if n, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 10, 16); err == nil {
				stated = int(n)
			}
		}
	}
	flush()
	all := 0
	for _, n := range sockets {
		all += n
	}
	p.sockets, p.cores = len(sockets), len(cores)
	if len(cores) > 0 && all > len(cores) {
		p.cores = all
	}
	return p
}

// learnCPU tells the processors. The clock is the highest that they run at, or
// the one that they are sold with; never the present one, which changes all the
// time.
func learnCPU(ctx context.Context, h *host.Host, d *pb.Device) error {
	data, err := h.ReadFile("proc/cpuinfo", maxCPUInfo)
	if missing(err) {
		return fmt.Errorf("no /proc/cpuinfo: %w", errors.ErrUnsupported)
	}
	p := decodeCPUInfo(data)
	a := &attributes{h: h}
	if p.sockets == 0 {
		p.sockets, p.cores = a.topology()
	}
	// gopsutil knows the names of ARM's processors, which have none in cpuinfo.
	listed, lerr := h.Processors(ctx)
	if lerr == nil && p.model == "" && len(listed) > 0 && listed[0].Model != "Undefined" {
		p.model = plainText([]byte(listed[0].Model))
	}
	hw := hardware(d)
	if hw.Cpu == nil {
		hw.Cpu = new(pb.Cpu)
	}
	p.fill(hw.Cpu)
	hw.Cpu.Architecture = architecture(ctx, h)
	if mhz := a.clock(hw.Cpu.Model, p); mhz > 0 {
		hw.Cpu.Mhz = proto.Int32(mhz)
	}
	return errors.Join(err, a.bad.err())
}

// fill replaces what the firmware says by what the kernel knows.
func (p processors) fill(c *pb.Cpu) {
	if p.model != "" {
		c.Model = p.model
	}
	for _, n := range []struct {
		n     int
		field **int32
	}{{p.sockets, &c.Sockets}, {p.cores, &c.Cores}, {p.threads, &c.Threads}} {
		if n.n > 0 {
			*n.field = proto.Int32(int32(min(n.n, math.MaxInt32)))
		}
	}
}

// topology counts sockets and cores where cpuinfo does not name them.
func (a *attributes) topology() (sockets, cores int) {
	s, c := make(map[string]bool), make(map[[2]string]bool)
	for _, name := range a.names(cpuDir) {
		number, ok := strings.CutPrefix(name, "cpu")
		if _, err := strconv.ParseUint(number, 10, 16); !ok || err != nil {
			continue
		}
		// Negative where the firmware does not tell: all are one.
		socket, core := a.text(cpuDir, name, "topology/physical_package_id"), a.text(cpuDir, name, "topology/core_id")
		if core == "" {
			continue
		}
		s[socket], c[[2]string{socket, core}] = true, true
	}
	return len(s), len(c)
}

// clock returns the clock in MHz, 0 if nothing tells: the highest of cpufreq,
// otherwise the one in the model's name. A virtual processor has neither but a
// constant one, which is measured at each boot: it counts in tens.
func (a *attributes) clock(model string, p processors) int32 {
	best := int64(0)
	for _, name := range a.names(cpuDir + "/cpufreq") {
		if khz, ok := a.number(cpuDir, "cpufreq", name, "cpuinfo_max_freq"); ok {
			best = max(best, khz/1000)
		}
	}
	if best == 0 {
		if _, text, ok := strings.Cut(model, "@"); ok {
			if ghz, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), "GHz"), 64); err == nil && ghz > 0 && ghz < 100 {
				best = int64(math.Round(ghz * 1000))
			}
		}
	}
	if best == 0 && p.virtual && p.mhz > 0 && p.mhz < 100_000 {
		best = int64(math.Round(p.mhz/10)) * 10
	}
	return int32(min(best, 100_000))
}
