package facts

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func nixFact(t testing.TB) func(h *host.Host, d *pb.Device) error {
	return func(h *host.Host, d *pb.Device) error { return learnNix(t.Context(), h, d) }
}

func link(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
}

// nixPath is a name in the store of Nix.
func nixPath(name string) string { return "/nix/store/0c1p3w8r2d9l5k7f4m6n8q1s3v5x7z9a-" + name }

func TestNix(t *testing.T) {
	const passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\neve:x:1002:1002::/home/eve:/bin/sh\n"
	manifest := `[ { meta = { }; name = "git-2.44.0"; out = { outPath = "` + nixPath("git-2.44.0") + `"; }; outPath = "` + nixPath("git-2.44.0") + `"; } ]`
	got, err := learn(t, nixFact(t), fstest.MapFS{
		"etc/passwd": text(passwd),
		nixPath("root-env")[1:] + "/manifest.nix":     text(manifest),
		"nix/var/nix/profiles/default":                link("default-3-link"),
		"nix/var/nix/profiles/default-3-link":         link(nixPath("root-env")),
		"run/current-system":                          link(nixPath("nixos-system-box-24.05")),
		nixPath("nixos-system-box-24.05")[1:] + "/sw": link(nixPath("system-path")),
		nixPath("system-path")[1:] + "/bin/ls":        link(nixPath("coreutils-9.5") + "/bin/ls"),
		nixPath("system-path")[1:] + "/bin/cp":        link(nixPath("coreutils-9.5") + "/bin/cp"),
		nixPath("system-path")[1:] + "/bin/curl":      link(nixPath("curl-8.7.1-bin") + "/bin/curl"),
		nixPath("system-path")[1:] + "/bin/rebuild":   link(nixPath("nixos-rebuild") + "/bin/rebuild"),
		nixPath("system-path")[1:] + "/bin/odd":       link("../../etc/passwd"),
		// Two versions of the list of nix profile.
		nixPath("profile")[1:] + "/manifest.json": text(`{"version":3,"elements":{"rg":{"active":true,"storePaths":["` + nixPath("ripgrep-14.1.0") + `"]},
			"off":{"active":false,"storePaths":["` + nixPath("off-1.0") + `"]},"own":{"storePaths":["` + nixPath("my-tool") + `","/etc/passwd","/nix/store/short-1"]}}}`),
		"home/ann/.nix-profile":                             link("/home/ann/.local/state/nix/profiles/profile"),
		"home/ann/.local/state/nix/profiles/profile":        link("profile-7-link"),
		"home/ann/.local/state/nix/profiles/profile-7-link": link(nixPath("profile")),
		"home/ann/.local/state/nix/profiles/home-manager":   link(nixPath("generation")),
		nixPath("generation")[1:] + "/home-path":            link(nixPath("home-manager-path")),
		nixPath("home-manager-path")[1:] + "/bin/htop":      link(nixPath("htop-3.3.0") + "/bin/htop"),
		nixPath("old")[1:] + "/manifest.json":               text(`{"version":2,"elements":[{"active":true,"storePaths":["` + nixPath("jq-1.7.1-bin") + `"]}]}`),
		"nix/var/nix/profiles/per-user/bob/profile":         link(nixPath("old")),
		"home/eve/.nix-profile":                             link("/etc"),
		"etc/manifest.json":                                 text(`{"elements":[{"storePaths":["` + nixPath("stolen-1.0") + `"]}]}`),
		nixPath("broken")[1:] + "/manifest.json":            text(`{"elements":[`),
		"nix/var/nix/profiles/per-user/eve/profile":         link(nixPath("broken")),
		"home/bob/.local/state/nix/profiles/profile":        link("profile"),
	})
	check(t, got, err, "profile /nix/var/nix/profiles/per-user/eve/profile: read the manifest",
		"nix|coreutils|9.5|||-|-", "nix|curl|8.7.1|||-|-", "nix|git|2.44.0|||-|-", "nix|htop|3.3.0|||-|-", "nix|jq|1.7.1|||-|-",
		"nix|my-tool||||-|-", "nix|ripgrep|14.1.0|||-|-")
	where := make(map[string]string)
	for _, row := range got.Software {
		where[row.Name] = row.Location
	}
	for name, want := range map[string]string{
		"coreutils": "/run/current-system/sw", "git": "/nix/var/nix/profiles/default", "htop": "/home/ann/.nix-profile",
		"jq": "/home/bob/.nix-profile", "ripgrep": "/home/ann/.nix-profile",
	} {
		if where[name] != want {
			t.Errorf("%s is at %s, want %s", name, where[name], want)
		}
	}
}

func TestNixNames(t *testing.T) {
	for name, want := range map[string][2]string{
		"hello-2.12.1": {"hello", "2.12.1"}, "gtk+3-3.24.41-dev": {"gtk+3", "3.24.41"}, "python3.11-pip-24.0": {"python3.11-pip", "24.0"},
		"x86_64-linux-gnu-gcc-13.2.0": {"x86_64-linux-gnu-gcc", "13.2.0"}, "nixos-rebuild": {"nixos-rebuild", ""}, "a-b-": {"a-b-", ""},
		"firefox-125.0.1-unstable": {"firefox", "125.0.1-unstable"},
	} {
		got, version, ok := nixName(nixPath(name)[len("/nix/store/"):])
		if !ok || got != want[0] || version != want[1] {
			t.Errorf("%s: %q, %q, %v", name, got, version, ok)
		}
	}
	for _, bad := range []string{"", "-", "hello-2.12", nixPath("x")[11:43], "../../../../../../../../etc/passwd-1"} {
		if name, _, ok := nixName(bad); ok && name != "" && len(bad) < 34 {
			t.Errorf("%q is %q", bad, name)
		}
	}
}

func FuzzNix(f *testing.F) {
	f.Add([]byte(`{"version":3,"elements":{"a":{"storePaths":["`+nixPath("a-1")+`"]}}}`), []byte(`outPath = "`+nixPath("b-2")+`"`))
	f.Fuzz(func(t *testing.T, manifest, old []byte) {
		d, _ := learn(t, nixFact(t), fstest.MapFS{
			nixPath("new")[1:] + "/manifest.json":       &fstest.MapFile{Data: manifest},
			nixPath("old")[1:] + "/manifest.nix":        &fstest.MapFile{Data: old},
			"nix/var/nix/profiles/default":              link(nixPath("new")),
			"nix/var/nix/profiles/per-user/ann/profile": link(nixPath("old")),
		})
		checkRows(t, d)
	})
}
