package view

// Texts returns the value of a field, as the JSON of an asset shows it, for each
// of some assets; empty for an asset that does not state it or is no more.
func (p Part) Texts(path string, ids []string) ([]string, error) {
	s := p.Snapshot().within(p.scope)
	f, err := s.find(path)
	if err != nil {
		return nil, &QueryError{"by", err}
	}
	rows := make([]uint32, len(ids))
	p.mu.Lock()
	for i, id := range ids {
		if at, ok := p.assets[id]; ok && at.here {
			rows[i] = at.row + 1
		}
	}
	p.mu.Unlock()
	out := make([]string, len(ids))
	known := make(map[uint32]string)
	for i, row := range rows {
		// A row that came after the snapshot, or was another asset's then, says nothing.
		if row == 0 || row > s.rows || s.ids.get(row-1) != ids[i] || s.part != nil && !s.part.has(row-1) {
			continue
		}
		code := f.code(row - 1)
		text, ok := known[code]
		if !ok {
			text = f.text(code)
			known[code] = text
		}
		out[i] = text
	}
	return out, nil
}
