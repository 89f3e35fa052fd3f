package systest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// brokenAgent is a version that tells its number and cannot do anything else.
const brokenAgent = `package main

import (
	"fmt"
	"os"
)

var version string

func main() {
	if len(os.Args) > 1 && os.Args[1] == "version" {
		fmt.Println("rollcall-agent", version)
		return
	}
	fmt.Fprintln(os.Stderr, "this version is broken")
	os.Exit(3)
}
`

// buildAgent builds the agent as a version, into a file.
func buildAgent(t *testing.T, version, file string) {
	t.Helper()
	build(t, filepath.Join("..", ".."), "./agent", "github.com/rollcall-itam/rollcall/pkg/buildinfo.version="+version, file)
}

func build(t *testing.T, dir, pkg, variable, file string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-ldflags", "-s -w -X "+variable, "-o", file, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", file, err, out)
	}
}

// buildBroken builds a version that does not work.
func buildBroken(t *testing.T, version, file string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/agent\n", "main.go": brokenAgent} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build(t, dir, ".", "main.version="+version, file)
}

// depot is a folder of updates and the key that signs it.
type depot struct{ dir, key, public string }

func newDepot(t *testing.T) depot {
	t.Helper()
	d := depot{dir: t.TempDir(), key: filepath.Join(t.TempDir(), "key.pem")}
	d.public = strings.TrimSpace(d.call(t, "keygen", "--key", d.key))
	return d
}

func (d depot) call(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := call(t, nil, "rollcall-collector", append([]string{"updates"}, args...)...)
	if code != 0 {
		t.Fatalf("updates %v exits with %d: %s", args, code, errs)
	}
	return out
}

func (d depot) file(version string) string {
	return filepath.Join(d.dir, fmt.Sprintf("rollcall-agent_%s_%s_%s", version, runtime.GOOS, runtime.GOARCH))
}

func (d depot) sign(t *testing.T, rings ...string) {
	t.Helper()
	args := []string{"sign", "--key", d.key, "--dir", d.dir}
	for _, r := range rings {
		args = append(args, "--ring", r)
	}
	d.call(t, args...)
	d.call(t, "show", "--dir", d.dir, "--key", d.public)
}

// updated is a collector that serves a depot, and an agent of version 1.0.0 that
// takes updates from it.
type updated struct {
	depot
	*collector
	agent         *process
	installed     string
	token, config string
	state         string
}

func newUpdated(t *testing.T) *updated {
	t.Helper()
	u := &updated{depot: newDepot(t), state: t.TempDir(), installed: filepath.Join(t.TempDir(), "rollcall-agent")}
	buildAgent(t, "1.0.0", u.installed)
	u.collector = &collector{dir: t.TempDir(), http: freeAddr(t), grpc: freeAddr(t), more: []string{"--updates-dir", u.depot.dir, "--update-keys", u.public, "--check-in-interval", "10s"}}
	u.serve(t)
	u.token = u.enrolToken(t, 1)
	u.config = filepath.Join(t.TempDir(), "agent.yaml")
	text := fmt.Sprintf("collector: %s\nca_file: %s\ntoken_file: %s\nstate_dir: %s\nself_update: true\nupdate_keys: [%q]\nlog_level: debug\n",
		u.grpc, filepath.Join(u.collector.dir, "ca.pem"), u.token, u.state, u.public)
	if err := os.WriteFile(u.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	u.run(t)
	return u
}

// run starts the installed version, as the service manager does.
func (u *updated) run(t *testing.T) {
	t.Helper()
	u.agent = start(t, u.installed, "run", "--config", u.config)
}

// reports waits until the collector holds that the agent runs a version.
func (u *updated) reports(t *testing.T, version string) {
	t.Helper()
	until(t, "the agent reports version "+version, func() error {
		select {
		case <-u.agent.exited:
			t.Fatalf("the agent ended: %v\n%s", u.agent.err, tail(u.agent.out.String()))
		default:
		}
		var answer struct {
			Agents []struct {
				AgentVersion string `json:"agent_version"`
			}
		}
		body, code := u.ask(t, http.MethodGet, "/v1/agents", "")
		if code != http.StatusOK || json.Unmarshal(body, &answer) != nil || len(answer.Agents) != 1 {
			return fmt.Errorf("%d %s", code, body)
		}
		if got := answer.Agents[0].AgentVersion; got != version {
			return fmt.Errorf("it reports %s", got)
		}
		return nil
	})
}

// status waits until the agent's status has a text.
func (u *updated) status(t *testing.T, want string) {
	t.Helper()
	until(t, "status says "+want, func() error {
		out, errs, _ := call(t, nil, u.installed, "status", "--config", u.config)
		if !strings.Contains(out, want) {
			return errors.New(out + errs)
		}
		return nil
	})
}

// An agent is updated over the wire, goes back where the next version is
// broken, and takes the one after that.
func TestAgentUpdatesItselfAndRollsBack(t *testing.T) {
	t.Parallel() // it waits for check-ins most of the time
	u := newUpdated(t)
	u.reports(t, "1.0.0")

	// Only the canaries get the first version, and this is none of them.
	buildAgent(t, "1.1.0", u.file("1.1.0"))
	u.sign(t, "1.1.0=canary")
	until(t, "the collector has the manifest", func() error {
		if !strings.Contains(u.out.String(), "updates are offered") {
			return errors.New("not yet")
		}
		return nil
	})
	if out := u.agent.out.String(); strings.Contains(out, "offers another version") {
		t.Errorf("a version of another ring is offered:\n%s", out)
	}
	u.sign(t, "1.1.0=broad")
	u.reports(t, "1.1.0")
	u.status(t, "version 1.1.0, an update (works); before it the installed version 1.0.0")

	// The next one does not work: it is given up, and not tried again.
	buildBroken(t, "1.2.0", u.file("1.2.0"))
	u.sign(t, "1.2.0=broad")
	u.status(t, "version 1.2.0")
	u.status(t, "not tried again: it was started 3 times and never reached the collector")
	before := strings.Count(u.agent.out.String(), "this version is broken")
	u.status(t, "version 1.1.0, an update (works)")
	seen := strings.Count(u.agent.out.String(), "checked in")
	until(t, "it checks in twice more", func() error {
		if n := strings.Count(u.agent.out.String(), "checked in"); n < seen+2 {
			return fmt.Errorf("%d so far", n-seen)
		}
		return nil
	})
	if after := strings.Count(u.agent.out.String(), "this version is broken"); before != 3 || after != 3 {
		t.Errorf("the broken version was started %d times, then %d", before, after)
	}
	u.reports(t, "1.1.0")

	// The installed version starts the update at once; a stop ends both.
	u.agent.stop()
	u.run(t)
	until(t, "the update runs after a restart", func() error {
		if !strings.Contains(u.agent.out.String(), "agent started\" version=1.1.0") {
			return errors.New(tail(u.agent.out.String()))
		}
		return nil
	})

	// The version after it mends things.
	buildAgent(t, "1.3.0", u.file("1.3.0"))
	u.sign(t, "1.3.0=broad")
	u.reports(t, "1.3.0")
	u.status(t, "version 1.3.0, an update (works); before it 1.1.0")
	if out, _, _ := call(t, nil, u.installed, "status", "--config", u.config); strings.Contains(out, "given up") {
		t.Errorf("status still tells of the broken version:\n%s", out)
	}
	u.agent.stop()
}

// What a collector in wrong hands offers is not taken.
func TestAgentTakesNothingThatIsNotSigned(t *testing.T) {
	t.Parallel()
	u := newUpdated(t)
	u.reports(t, "1.0.0")
	buildAgent(t, "1.1.0", u.file("1.1.0"))
	foreign := newDepot(t)
	u.kill()
	u.more = []string{"--updates-dir", u.depot.dir, "--update-keys", foreign.public, "--check-in-interval", "10s"}
	own := u.key
	u.key = foreign.key
	public := u.public
	u.public = foreign.public
	u.sign(t, "1.1.0=broad")
	u.serve(t)
	u.status(t, "version 1.1.0 cannot be taken: the manifest is signed by no key that is trusted here")

	// The same version, signed by the right key, but the file was changed after.
	u.kill()
	u.more = []string{"--updates-dir", u.depot.dir, "--update-keys", public, "--check-in-interval", "10s"}
	u.key, u.public = own, public
	if err := os.Remove(filepath.Join(u.depot.dir, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	u.sign(t, "1.1.0=broad")
	b, err := os.ReadFile(u.file("1.1.0"))
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(u.file("1.1.0"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	u.serve(t)
	u.agent.stop() // forgets when it was to try again
	u.run(t)
	u.status(t, "it is not the program that was signed")

	u.reports(t, "1.0.0")
	u.agent.stop()
}
