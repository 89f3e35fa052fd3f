package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

type exportCommand struct {
	selection
	Format   string `enum:"ndjson,csv,xlsx," default:"" help:"ndjson, csv or xlsx. Without it, what the name of --file says, or ndjson."`
	Fields   string `placeholder:"PATHS" complete:"fields" help:"Columns: comma-separated paths of fields, as in name,hardware.serial,labels.site."`
	Software bool   `help:"Write a row for each piece of software of each asset."`
	File     string `placeholder:"FILE" complete:"file" help:"File to write, which must not exist; without it, standard output."`
}

// Run writes the file as it comes.
func (cmd exportCommand) Run(s *session) error {
	if err := cmd.decideFormat(s); err != nil {
		return err
	}
	if cmd.File == "" && cmd.Format == "xlsx" && s.world.screen.columns > 0 {
		return fail(exitUsage, "a workbook is nothing for a terminal: name a file with --file")
	}
	c, err := s.open()
	if err != nil {
		return err
	}
	query := url.Values{"format": {cmd.Format}}
	cmd.set(query)
	if cmd.Fields != "" {
		query.Set("fields", cmd.Fields)
	}
	if cmd.Software {
		query.Set("software", "true")
	}
	body, err := c.stream(s.ctx, "/v1/assets:export", query)
	if err != nil {
		return err
	}
	defer body.Close()
	if cmd.File == "" {
		return copyExport(s.out, body)
	}
	f, err := os.OpenFile(cmd.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the file of --file: %w", err)
	}
	if err := errors.Join(copyExport(f, body), f.Close()); err != nil {
		return errors.Join(err, os.Remove(cmd.File)) // a part would look like the whole
	}
	return nil
}

// decideFormat takes what the command line says of the format: --format, the name
// of the file, or the -o of all commands.
func (cmd *exportCommand) decideFormat(s *session) error {
	ext := strings.TrimPrefix(filepath.Ext(cmd.File), ".")
	asked, ok := s.exportFormat()
	switch {
	case cmd.Format != "":
	case !ok:
		return fail(exitUsage, "assets are exported as ndjson, csv or xlsx: say --format, or -o json for ndjson")
	case asked != "":
		cmd.Format = asked
	case ext == "csv" || ext == "xlsx":
		cmd.Format = ext
	default:
		cmd.Format = "ndjson"
	}
	return nil
}

func copyExport(to io.Writer, from io.Reader) error {
	if _, err := io.Copy(to, from); err != nil {
		return fmt.Errorf("the export is not complete: %w", err)
	}
	return nil
}
