// Package synth makes a seeded fleet of devices of any size, the same for the
// same seed, for tests, benchmarks and the load generator.
package synth

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Fleet is a population of Linux devices.
type Fleet struct {
	seed   uint64
	titles []*pb.Software
	rows   int
}

// builtAt is the day on which every image of the fleet was made.
var builtAt = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// images is how many different base images the fleet was installed from.
const images = 40

// New returns the fleet of a seed whose devices have rows software titles
// each, out of titles that exist in all. titles must be at least twice rows.
func New(seed uint64, titles, rows int) *Fleet {
	f := &Fleet{seed: seed, rows: rows}
	r := f.rand(0, "titles")
	for i := range titles {
		f.titles = append(f.titles, &pb.Software{
			Kind: "deb", Name: fmt.Sprintf("%s-%s%d", pick(r, stems), pick(r, ends), i), Version: version(r),
			Publisher: pick(r, publishers), Architecture: pick(r, architectures), SizeBytes: proto.Int64(r.Int64N(200<<20) &^ 1023),
		})
	}
	return f
}

// rand returns the generator for one aspect of one device.
func (f *Fleet) rand(device int, aspect string) *rand.Rand {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], f.seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(device))
	copy(seed[16:], aspect)
	return rand.New(rand.NewChaCha8(seed))
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// Device returns device i as it is at first: the same for each call.
func (f *Fleet) Device(i int) *pb.Device {
	d := f.Hardware(i)
	d.Software = f.software(i)
	return d
}

// Hardware returns device i as Device does, without software, at a hundredth of
// the cost.
func (f *Fleet) Hardware(i int) *pb.Device {
	r := f.rand(i, "hardware")
	m := pick(r, models)
	name := fmt.Sprintf("%s-%05d", pick(r, sites), i)
	mac := r.Uint32()
	disk := int64(256<<30) << r.IntN(3)
	return &pb.Device{
		Name: name,
		Hardware: &pb.Hardware{
			Manufacturer: m.maker, Model: m.model, Serial: m.serial(r, i), Uuid: uuid(r), Chassis: m.chassis, BoardSerial: token(r, 14),
			Firmware:      &pb.Firmware{Vendor: m.maker, Version: fmt.Sprintf("1.%d.0", r.IntN(40)), Date: "2025-11-03"},
			Cpu:           &pb.Cpu{Model: m.cpu, Architecture: "x86_64", Sockets: proto.Int32(1), Cores: proto.Int32(8), Threads: proto.Int32(16), Mhz: proto.Int32(4700)},
			MemoryBytes:   proto.Int64(int64(8<<30) << r.IntN(4)),
			MemoryModules: []*pb.MemoryModule{{SizeBytes: proto.Int64(8 << 30), Type: "DDR5", SpeedMts: proto.Int32(5600), Serial: token(r, 8), Slot: "DIMM A"}},
			Disks:         []*pb.Disk{{Name: "nvme0n1", Model: "SAMSUNG MZVL2512HCJQ", Serial: token(r, 14), SizeBytes: &disk, Kind: "nvme", Bus: "nvme"}},
			Tpm:           &pb.Tpm{Present: proto.Bool(true), Version: "2.0"},
		},
		Os: &pb.Os{Family: "linux", Name: "Debian GNU/Linux", Version: "12", Id: "debian", Kernel: "6.1.0-28-amd64", Architecture: "x86_64",
			Timezone: "Europe/Berlin", Language: "de_DE.UTF-8", InstallId: token(r, 32), BootedAt: timestamppb.New(builtAt.Add(time.Duration(r.IntN(1<<22)) * time.Second))},
		Network: &pb.Network{Hostname: name, Domain: "example.com", Fqdn: name + ".example.com", Interfaces: []*pb.Interface{
			{Name: "enp0s31f6", Kind: "ethernet", Mac: fmt.Sprintf("a4:bb:%02x:%02x:%02x:%02x", mac>>24, mac>>16&255, mac>>8&255, mac&255),
				Addresses: []string{fmt.Sprintf("10.%d.%d.%d/16", i>>16&255, i>>8&255, i&255)}}}},
		Storage: &pb.Storage{SystemSizeBytes: &disk, SystemFreeBytes: proto.Int64(r.Int64N(disk)),
			Volumes: []*pb.Volume{{Mount: "/", Device: "/dev/nvme0n1p2", Filesystem: "ext4", SizeBytes: &disk, Encrypted: proto.Bool(true)}}},
		Security:    &pb.Security{DiskEncryption: &pb.DiskEncryption{State: "on", Method: "luks"}, SecureBoot: proto.Bool(true), LocalAdmins: []string{"root"}},
		PrimaryUser: &pb.PrimaryUser{Name: pick(r, people), Source: "last_login"},
		Patch:       &pb.Patch{CheckedAt: timestamppb.New(builtAt), RebootRequired: proto.Bool(r.IntN(10) == 0), AutoUpdate: "on"},
	}
}

// software returns what device i has: the titles of its image, and a few of
// its own.
func (f *Fleet) software(i int) []*pb.Software {
	image := f.rand(i%images, "image")
	own := f.rand(i, "software")
	chosen := image.Perm(len(f.titles))[:f.rows]
	for range f.rows / 20 {
		chosen[own.IntN(len(chosen))] = own.IntN(len(f.titles))
	}
	slices.Sort(chosen)
	chosen = slices.Compact(chosen)
	for len(chosen) < f.rows {
		chosen = append(chosen, own.IntN(len(f.titles)))
		slices.Sort(chosen)
		chosen = slices.Compact(chosen)
	}
	rows := make([]*pb.Software, len(chosen))
	for n, t := range chosen {
		row := proto.CloneOf(f.titles[t])
		row.InstalledAt = timestamppb.New(builtAt.AddDate(0, 0, image.IntN(200)))
		rows[n] = row
	}
	return rows
}

// Upgrade returns a device's software with n rows at a newer version, as round
// round of changes leaves it; the input is not modified.
func Upgrade(rows []*pb.Software, n, round int) []*pb.Software {
	out := slices.Clone(rows)
	for k := range min(n, len(out)) {
		i := (round*n + k) % len(out)
		row := proto.CloneOf(out[i])
		base, _, _ := strings.Cut(row.Version, "+r")
		row.Version = fmt.Sprintf("%s+r%d", base, round)
		row.InstalledAt = timestamppb.New(builtAt.AddDate(0, 0, 200+round))
		out[i] = row
	}
	return out
}

func version(r *rand.Rand) string {
	return fmt.Sprintf("%d.%d.%d-%d", r.IntN(12), r.IntN(30), r.IntN(20), 1+r.IntN(5))
}

const letters = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"

func token(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func uuid(r *rand.Rand) string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
}

// number writes i in base 34 with at least width digits, so that serials of
// one fleet never repeat.
func number(i, width int) string {
	var b []byte
	for ; i > 0 || len(b) < width; i /= len(letters) {
		b = append(b, letters[i%len(letters)])
	}
	slices.Reverse(b)
	return string(b)
}
