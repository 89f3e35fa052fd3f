// Command measure runs a program several times and prints what it cost: wall
// time, processor time, peak memory and the size of its output.
//
//	measure -n 7 -name "rollcall-agent collect" bin/rollcall-agent collect
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// cost is what one run took. rss is in bytes.
type cost struct {
	wall, cpu   time.Duration
	rss, output int64
}

func main() {
	runs := flag.Int("n", 5, "runs that count; one more goes before them to warm the caches")
	name := flag.String("name", "", "how to call the program in the table")
	flag.Parse()
	if flag.NArg() == 0 || *runs < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := measure(os.Stdout, *name, *runs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func measure(w io.Writer, name string, runs int, command []string) error {
	var costs []cost
	for i := range runs + 1 {
		c, err := run(command)
		if err != nil {
			return fmt.Errorf("run %v: %w", command, err)
		}
		if i > 0 {
			costs = append(costs, c)
		}
	}
	wall := pick(costs, func(c cost) int64 { return int64(c.wall) })
	cpu := pick(costs, func(c cost) int64 { return int64(c.cpu) })
	rss := pick(costs, func(c cost) int64 { return c.rss })
	output := pick(costs, func(c cost) int64 { return c.output })
	_, err := fmt.Fprintf(w, "%-34s wall %7.1f ms [%.1f-%.1f]   cpu %7.1f ms [%.1f-%.1f]   peak %6.1f MB   output %7.1f kB   %d runs\n",
		name, ms(wall[1]), ms(wall[0]), ms(wall[2]), ms(cpu[1]), ms(cpu[0]), ms(cpu[2]),
		float64(rss[2])/1e6, float64(output[1])/1e3, runs)
	return err
}

// run runs the command once, with its output counted and thrown away.
func run(command []string) (cost, error) {
	var out counter
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return cost{}, err
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, fmt.Errorf("%s does not tell what a process used", runtime.GOOS)
	}
	rss := int64(usage.Maxrss) // in KiB, on macOS in bytes
	if runtime.GOOS != "darwin" {
		rss *= 1024
	}
	// The usage includes that of the children that it waited for.
	return cost{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rss: rss, output: int64(out)}, nil
}

// pick returns the lowest, the middle and the highest of a figure.
func pick(costs []cost, figure func(cost) int64) [3]int64 {
	var all []int64
	for _, c := range costs {
		all = append(all, figure(c))
	}
	slices.Sort(all)
	return [3]int64{all[0], all[len(all)/2], all[len(all)-1]}
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
