package synth

import "math/rand/v2"

// model is a kind of machine with its maker's shape of serial number.
type model struct {
	maker, model, chassis, cpu string
	serial                     func(r *rand.Rand, i int) string
}

var models = []model{
	{"Dell Inc.", "Latitude 7450", "notebook", "Intel(R) Core(TM) Ultra 7 165U", dell},
	{"Dell Inc.", "PowerEdge R660", "rack mount chassis", "Intel(R) Xeon(R) Gold 6430", dell},
	{"LENOVO", "21HD0051GE", "notebook", "13th Gen Intel(R) Core(TM) i7-1365U", lenovo},
	{"LENOVO", "11T5001AGE", "desktop", "12th Gen Intel(R) Core(TM) i5-12400", lenovo},
	{"HP", "HP EliteBook 840 14 inch G10 Notebook PC", "notebook", "13th Gen Intel(R) Core(TM) i5-1345U", hp},
	{"HP", "HP Z2 Tower G9 Workstation Desktop PC", "tower", "13th Gen Intel(R) Core(TM) i9-13900K", hp},
}

// A Dell service tag has seven characters.
func dell(_ *rand.Rand, i int) string { return number(i, 6) + "3" }

// A Lenovo serial has eight, beginning with the plant.
func lenovo(r *rand.Rand, i int) string { return pick(r, []string{"PF", "PC", "MP"}) + number(i, 6) }

// An HP serial has ten: site, week, and a running number.
func hp(r *rand.Rand, i int) string {
	return pick(r, []string{"5CG", "CZC", "8CC"}) + "4" + number(i, 6)
}

var (
	sites         = []string{"ber", "par", "lon", "nyc", "sfo", "tyo"}
	people        = []string{"ann", "ben", "chloe", "david", "emre", "fatima", "george", "hana", "ivan", "julia"}
	stems         = []string{"lib", "python3-", "gir1.2-", "fonts-", "xserver-", "gnome-", "qt6-", "perl-", "golang-", "node-", "ruby-", "task-"}
	ends          = []string{"core", "common", "data", "dev", "utils", "doc", "runtime", "bin", "plugins", "base"}
	publishers    = []string{"Debian X Strike Force", "Debian GNOME Maintainers", "Debian Python Team", "Matthias Klose", "GNU Libc Maintainers", "Debian Perl Group"}
	architectures = []string{"amd64", "amd64", "all"}
)
