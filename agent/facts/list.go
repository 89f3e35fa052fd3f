package facts

// All returns every fact in the order in which they are learnt. One that is
// not here does not exist.
func All() []Fact {
	return []Fact{}
}
