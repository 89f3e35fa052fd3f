package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs holds the binaries under test; TestMain builds them once.
var programs string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rollcall-systest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "systest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	for name, pkg := range map[string]string{"rollcall-agent": "./agent", "rollcall-collector": "./collector", "rollcall": "./collector/ctl", "fleetsim": "./agent/fleetsim"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "systest: build %s: %v\n%s", pkg, err, out)
			return 1
		}
	}
	return m.Run()
}

// touchSources looks at every source file that the programs are built from, so
// that go test does not answer from its cache after one of them changed: what a
// child process reads it does not notice, nor what is read before the tests run.
var touchSources = sync.OnceValue(func() error {
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.sum")); err != nil {
		return err
	}
	for _, dir := range []string{"agent", "collector", "pkg", "proto"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.Contains(path, "testdata") {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
})

// program is the path of a program under test, or of another where name is a
// path.
func program(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(programs, name)
}

// deadline is how long anything in these tests may take; it is a bound for a
// hung test and no measure of speed.
const deadline = 90 * time.Second

// output collects what a process prints, for the moment when a test fails.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a program that runs in the background.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    *output
	exited chan struct{}
	err    error
}

func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	if err := touchSources(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(program(name), args...), out: new(output), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = environment()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.exited
		if t.Failed() {
			t.Logf("%s %s printed:\n%s", name, strings.Join(args, " "), tail(p.out.String()))
		}
	})
	return p
}

// environment is this process's, without what would configure the programs.
func environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "ROLLCALL_") && !strings.Contains(strings.ToUpper(kv), "PROXY=") {
			env = append(env, kv)
		}
	}
	return env
}

func tail(s string) string {
	const most = 6000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.exited:
	default:
		_ = p.cmd.Process.Signal(s)
	}
}

// stop asks the process to end and wants a clean exit.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		p.t.Errorf("%s did not stop cleanly: %v", filepath.Base(p.cmd.Path), err)
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

func (p *process) wait() error {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.err
	case <-time.After(deadline):
		p.t.Fatalf("%s is still running after %v:\n%s", filepath.Base(p.cmd.Path), deadline, tail(p.out.String()))
		return nil
	}
}

// call runs a program to its end and returns what it printed.
func call(t testing.TB, env []string, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	if err := touchSources(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(name), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(environment(), env...)
	err := cmd.Run()
	if _, exit := err.(*exec.ExitError); err != nil && !exit {
		t.Fatalf("run %s: %v", name, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// until waits until cond holds.
func until(t testing.TB, what string, cond func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: still not after %v: %v", what, deadline, err)
		}
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// collector is a running rollcall-collector.
type collector struct {
	*process
	dir, http, grpc string
	token           string
	// more are further arguments.
	more []string
}

// newCollector starts a collector on an empty data folder.
func newCollector(t testing.TB) *collector {
	t.Helper()
	return openCollector(t, t.TempDir())
}

func openCollector(t testing.TB, dir string) *collector {
	t.Helper()
	c := &collector{dir: dir, http: freeAddr(t), grpc: freeAddr(t)}
	c.serve(t)
	return c
}

// serve starts the collector, again on the same addresses after it ended.
func (c *collector) serve(t testing.TB) {
	t.Helper()
	c.process = start(t, "rollcall-collector", append([]string{"serve", "--data-dir", c.dir, "--http-addr", c.http, "--grpc-addr", c.grpc}, c.more...)...)
	c.ready(t)
}

func (c *collector) ready(t testing.TB) {
	t.Helper()
	until(t, "the collector is ready", func() error {
		select {
		case <-c.exited:
			t.Fatalf("the collector ended: %v\n%s", c.err, tail(c.out.String()))
		default:
		}
		resp, err := http.Get("http://" + c.http + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answers %s", resp.Status)
		}
		return nil
	})
	secret, err := os.ReadFile(filepath.Join(c.dir, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	c.token = strings.TrimSpace(string(secret))
}

// get asks the API and decodes the answer.
func (c *collector) get(t testing.TB, path string, into any) {
	t.Helper()
	body, code := c.ask(t, http.MethodGet, path, "")
	if code != http.StatusOK {
		t.Fatalf("GET %s answers %d: %s", path, code, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v\n%s", path, err, body)
	}
}

func (c *collector) ask(t testing.TB, method, path, body string) ([]byte, int) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+c.http+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b, resp.StatusCode
}

// enrolToken writes a new enrolment token to a file and returns its path.
func (c *collector) enrolToken(t testing.TB, uses int) string {
	t.Helper()
	var answer struct{ Token string }
	body, code := c.ask(t, http.MethodPost, "/v1/tokens", fmt.Sprintf(`{"kind":"enroll","name":"systest","max_uses":%d,"labels":{"site":"lab"}}`, uses))
	if code != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.Token == "" {
		t.Fatalf("create a token: %d %s", code, body)
	}
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(answer.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// env configures the rollcall command for this collector.
func (c *collector) env() []string {
	return []string{"ROLLCALL_URL=http://" + c.http, "ROLLCALL_TOKEN=" + c.token}
}

// agent returns the arguments of an agent of this collector.
func (c *collector) agent(token, state string, more ...string) []string {
	return append([]string{"run", "--collector", c.grpc, "--ca-file", filepath.Join(c.dir, "ca.pem"), "--token-file", token, "--state-dir", state}, more...)
}

// assets returns all assets, following the pages.
func (c *collector) assets(t testing.TB) []map[string]any {
	t.Helper()
	var all []map[string]any
	for page := ""; ; {
		var answer struct {
			Assets        []map[string]any
			NextPageToken string `json:"next_page_token"`
			TotalSize     int    `json:"total_size"`
		}
		c.get(t, "/v1/assets?page_size=1000&page_token="+page, &answer)
		all = append(all, answer.Assets...)
		if page = answer.NextPageToken; page == "" {
			if answer.TotalSize != len(all) {
				t.Errorf("total_size is %d, the pages hold %d", answer.TotalSize, len(all))
			}
			return all
		}
	}
}
