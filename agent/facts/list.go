package facts

import "github.com/rollcall-itam/rollcall/pkg/section"

// All returns every fact in the order in which they are learnt. One that is
// not here does not exist.
func All() []Fact {
	linux := []string{"linux"}
	return guarding([]Fact{
		{Name: "dpkg", Section: section.Software, OS: linux, Learn: learnDpkg},
		{Name: "rpm", Section: section.Software, OS: linux, Learn: learnRPM},
		{Name: "apk", Section: section.Software, OS: linux, Learn: learnAPK},
		{Name: "pacman", Section: section.Software, OS: linux, Learn: learnPacman},
		{Name: "snap", Section: section.Software, OS: linux, Learn: learnSnap},
		{Name: "flatpak", Section: section.Software, OS: linux, Learn: learnFlatpak},
		{Name: "apt_updates", Section: section.Patch, OS: linux, Learn: new(aptUpdates).learn},
		{Name: "dnf_updates", Section: section.Patch, OS: linux, Learn: learnDNFPending},
		{Name: "apk_updates", Section: section.Patch, OS: linux, Learn: learnAPKPending},
		{Name: "pacman_updates", Section: section.Patch, OS: linux, Learn: learnPacmanPending},
		{Name: "reboot", Section: section.Patch, OS: linux, Learn: learnReboot},
		{Name: "last_update", Section: section.Patch, OS: linux, Learn: learnLastUpdate},
		{Name: "auto_update", Section: section.Patch, OS: linux, Learn: learnAutoUpdate},
	})
}
