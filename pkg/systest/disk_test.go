package systest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a file system of so many MiB.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// ballast is what fills a disk, in two files.
func ballast(dir string) [2]string {
	return [2]string{filepath.Join(dir, "ballast"), filepath.Join(dir, "ballast-rest")}
}

// freeOn returns the free bytes of a disk.
func freeOn(t *testing.T, dir string) uint64 {
	t.Helper()
	out, err := exec.Command("df", "-B1", "--output=avail", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, number, _ := strings.Cut(string(out), "\n")
	free, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return free
}

// leave claims all of a disk but so many bytes. Where others wrote meanwhile
// there may not be that many, and nothing is claimed.
func leave(t *testing.T, dir string, free uint64) {
	t.Helper()
	have := freeOn(t, dir)
	if have <= free {
		return
	}
	if out, err := exec.Command("fallocate", "-l", strconv.FormatUint(have-free, 10), ballast(dir)[0]).CombinedOutput(); err != nil {
		t.Logf("fallocate: %v: %s", err, out)
	}
}

// fill leaves no byte of a disk: the bulk is only claimed, the rest written.
func fill(t *testing.T, dir string) {
	t.Helper()
	leave(t, dir, 1<<20)
	rest, err := os.Create(ballast(dir)[1])
	if err != nil {
		return // there is not even room for its name
	}
	defer rest.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = rest.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	for _, name := range ballast(dir) {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// service keeps a collector running as a service manager does: whenever it ends,
// it is started again.
type service struct {
	collector
	args  []string
	out   *output
	ended chan struct{}
	halt  chan struct{}

	mu     sync.Mutex
	cmd    *exec.Cmd
	starts atomic.Int32
}

// restartAfter is what a service manager waits, shorter than it would.
const restartAfter = 200 * time.Millisecond

func supervise(t *testing.T, dir string, more ...string) *service {
	t.Helper()
	if err := touchSources(); err != nil {
		t.Fatal(err)
	}
	s := &service{out: new(output), ended: make(chan struct{}), halt: make(chan struct{}),
		collector: collector{dir: dir, http: freeAddr(t), grpc: freeAddr(t)}}
	s.args = append([]string{"serve", "--data-dir", dir, "--http-addr", s.http, "--grpc-addr", s.grpc}, more...)
	go s.run()
	t.Cleanup(func() {
		s.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the collector, started %d times, printed:\n%s", s.starts.Load(), tail(s.out.String()))
		}
	})
	return s
}

func (s *service) run() {
	defer close(s.ended)
	for {
		cmd := exec.Command(program("rollcall-collector"), s.args...)
		cmd.Stdout, cmd.Stderr, cmd.Env = s.out, s.out, environment()
		s.mu.Lock()
		err := cmd.Start()
		s.cmd = cmd
		s.starts.Add(1)
		s.mu.Unlock()
		if err == nil {
			err = cmd.Wait()
		}
		fmt.Fprintln(s.out, "systest: the collector ended:", err)
		select {
		case <-s.halt:
			return
		case <-time.After(restartAfter):
		}
	}
}

func (s *service) signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(sig) // it may have ended by itself
	}
}

// end stops the collector for good; it may be called again.
func (s *service) end(sig os.Signal) {
	select {
	case <-s.halt:
	default:
		close(s.halt)
	}
	tick := time.NewTicker(restartAfter)
	defer tick.Stop()
	for {
		s.signal(sig)
		select {
		case <-s.ended:
			return
		case <-tick.C:
		}
	}
}

// answers waits until the collector is ready, and reads its token.
func (s *service) answers(t *testing.T) {
	t.Helper()
	until(t, "the collector is ready", func() error {
		resp, err := http.Get("http://" + s.http + "/readyz")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, tail(s.out.String()))
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answers %s: %s, %v", resp.Status, text, err)
		}
		return nil
	})
	secret, err := os.ReadFile(filepath.Join(s.dir, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(secret))
}

// On a disk with little left the collector refuses what is new, says so, and
// answers; it takes data again once there is space, without a restart.
func TestDiskIsKeptFromFilling(t *testing.T) {
	d := newTortured(t)
	refused := "data folder is nearly full, updates are refused"
	leave(t, d.disk, minFree*2/3)
	until(t, "it notices", func() error {
		if !strings.Contains(d.out.String(), refused) {
			return errors.New(tail(d.out.String()))
		}
		return nil
	})
	if body, code := d.ask(t, http.MethodPost, "/v1/tokens", `{"kind":"api","role":"viewer","name":"one more"}`); code == http.StatusOK || !strings.Contains(string(body), "free") {
		t.Errorf("a token is made on a full disk: %d %s", code, body)
	}
	if n := len(d.assets(t)); n < tortureAgents {
		t.Errorf("%d assets, want %d or more", n, tortureAgents)
	}
	body, code := d.ask(t, http.MethodGet, "/metrics", "")
	if code != http.StatusOK || !strings.Contains(string(body), `rollcall_ingest_rejected_total{reason="storage_full"}`) {
		t.Errorf("/metrics answers %d and does not tell of reports that were refused", code)
	}
	if free := freeOn(t, d.disk); free < minFree/2 {
		t.Errorf("%d bytes are free", free)
	}
	empty(t, d.disk)
	d.progresses(t)
	d.holdsAll(t)
	if d.starts.Load() != 1 {
		t.Errorf("it was started %d times", d.starts.Load())
	}
}

// rounds is how many rounds a test does that has disasters at random points:
// some, or as many as ROLLCALL_ROUNDS says.
func rounds(t *testing.T, some int) int {
	t.Helper()
	text := os.Getenv("ROLLCALL_ROUNDS")
	if text == "" {
		return some
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ROLLCALL_ROUNDS=%s: want a number from 1", text)
	}
	return n
}
