package policy

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed rules/*.yaml
var builtin embed.FS

// Builtin returns the rules that Rollcall brings along.
func Builtin() ([]*File, error) {
	names, err := fs.Glob(builtin, "rules/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the built-in rules: %w", err)
	}
	files := make([]*File, 0, len(names))
	for _, name := range names {
		data, err := builtin.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the built-in rules: %w", err)
		}
		files = append(files, Read("builtin/"+name, data))
	}
	return files, nil
}
