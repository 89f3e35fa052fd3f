package facts

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
)

// What keeps a machine from being read wholly, as Cost.Waits tells it.
const (
	waitsForPower      = "the battery is low"
	waitsForProcessors = "the processors are busy"
)

const (
	// maxWithoutPower and maxWhileBusy are how long a dear fact that is due waits
	// for a battery to be charged, and for processors to have time. A machine that
	// computes all day must not be spared for a day.
	maxWithoutPower = 24 * time.Hour
	maxWhileBusy    = 3 * time.Hour

	// busyStall is the share of a minute, in percent, in which some task waited
	// for a processor: https://docs.kernel.org/accounting/psi.html
	busyStall = 50
	// busyLoad is the load average of a minute, by processor.
	busyLoad = 1.5
	// busyShare is the share of a second, in percent, in which processors worked.
	busyShare = 90

	maxStat = 1 << 20
)

// strain is why a machine is spared what is dear, and for how long a fact waits
// at most. The zero strain is none.
type strain struct {
	why     string
	longest time.Duration
}

// strained returns what strains the machine; it is looked at once a collection.
func (c *collection) strained(ctx context.Context) strain {
	if c.strain == nil {
		h, m := c.host, c.memory
		c.strain = new(strain)
		switch {
		case m.power.take(ctx, func(ctx context.Context) bool { return lowBattery(ctx, h) }):
			*c.strain = strain{waitsForPower, maxWithoutPower}
		case m.load.take(ctx, func(ctx context.Context) bool { return busyProcessors(ctx, h) }):
			*c.strain = strain{waitsForProcessors, maxWhileBusy}
		}
	}
	return *c.strain
}

// busyProcessors tells whether others want the machine's processors. A machine
// that does not say is taken to have time.
func busyProcessors(ctx context.Context, h *host.Host) bool {
	switch h.OS {
	case "linux":
		return busyOnLinux(h)
	case "windows":
		share, err := h.Busy(ctx)
		return err == nil && share >= busyShare
	}
	load, err := h.LoadAverage(ctx)
	if err != nil {
		return false
	}
	n, err := h.LogicalProcessors(ctx)
	return err == nil && n > 0 && load/float64(n) >= busyLoad
}

// busyOnLinux looks at how long tasks stalled, or at the load average where the
// kernel was built or started without that.
func busyOnLinux(h *host.Host) bool {
	if text, err := h.ReadFile("proc/pressure/cpu", maxValueFile); err == nil {
		if stall, ok := stalled(text); ok {
			return stall >= busyStall
		}
	}
	text, err := h.ReadFile("proc/loadavg", maxValueFile)
	if err != nil {
		return false
	}
	first, _, _ := bytes.Cut(text, []byte(" "))
	load, err := strconv.ParseFloat(string(first), 64)
	if err != nil {
		return false
	}
	// What comes before the limit is enough: processors come first.
	stat, _ := h.ReadFile("proc/stat", maxStat)
	n := processorsOf(stat)
	return n > 0 && load/float64(n) >= busyLoad
}

// stalled returns the percentage of the last minute in which some task waited,
// from text such as "some avg10=0.12 avg60=3.40 avg300=1.00 total=1234".
func stalled(text []byte) (percent float64, ok bool) {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 0 || string(fields[0]) != "some" {
			continue
		}
		for _, f := range fields[1:] {
			if value, found := bytes.CutPrefix(f, []byte("avg60=")); found {
				percent, err := strconv.ParseFloat(string(value), 64)
				return percent, err == nil && percent >= 0 && percent <= 100
			}
		}
	}
	return 0, false
}

// processorsOf counts the lines of /proc/stat that are of one processor.
func processorsOf(stat []byte) int {
	n := 0
	for line := range bytes.Lines(stat) {
		name, isOne := bytes.CutPrefix(line, []byte("cpu"))
		if isOne && len(name) > 0 && name[0] >= '0' && name[0] <= '9' {
			n++
		}
	}
	return n
}
