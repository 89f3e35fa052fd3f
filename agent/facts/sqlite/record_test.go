package sqlite

import "testing"

// Values of each length and sign, as the file format has them.
func TestColumns(t *testing.T) {
	row := []byte{10, 8, 9, 1, 2, 3, 6, 0, 17, 16 /* header: 10 bytes, nine types */}
	row = append(row, 0x80, 0xff, 0xfe, 0x01, 0x00, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c', 'd')
	want := []any{int64(0), int64(1), int64(-128), int64(-2), int64(65536), int64(-1 << 63), nil, "ab", "cd"}
	n := 0
	err := Columns(row, func(i int, c Column) bool {
		n++
		var got any
		if v, ok := c.Integer(); ok {
			got = v
		} else if b, ok := c.Text(); ok {
			got = string(b)
		} else if b, ok := c.Blob(); ok {
			got = string(b)
		}
		if got != want[i] {
			t.Errorf("column %d: %v, want %v", i, got, want[i])
		}
		return true
	})
	if err != nil || n != len(want) {
		t.Errorf("%d columns, %v", n, err)
	}
	for _, cut := range []int{0, 1, 5, 12, len(row) - 1} {
		if err := Columns(row[:cut], func(int, Column) bool { return true }); err == nil {
			t.Errorf("cut after %d: no error", cut)
		}
	}
}
