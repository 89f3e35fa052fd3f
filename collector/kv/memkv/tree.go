package memkv

import (
	"bytes"
	"hash/maphash"
)

// node is an immutable treap node: a change copies the path from the root, so
// whoever holds an older root goes on reading the older state.
type node struct {
	key, value  []byte
	priority    uint64
	left, right *node
}

func get(n *node, key []byte) ([]byte, bool) {
	for n != nil {
		switch c := bytes.Compare(key, n.key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.value, true
		}
	}
	return nil, false
}

// set returns the tree n with key set to value. The priority of a key is its
// hash, so the shape depends on the keys alone and not on their order.
func set(n *node, seed maphash.Seed, key, value []byte) *node {
	return insert(n, &node{key: key, value: value, priority: maphash.Bytes(seed, key)})
}

func insert(n, add *node) *node {
	if n == nil {
		return add
	}
	c := bytes.Compare(add.key, n.key)
	if c == 0 {
		add.left, add.right = n.left, n.right
		return add
	}
	m := *n
	if c < 0 {
		m.left = insert(n.left, add)
		if m.left.priority > m.priority {
			return rotateRight(&m)
		}
		return &m
	}
	m.right = insert(n.right, add)
	if m.right.priority > m.priority {
		return rotateLeft(&m)
	}
	return &m
}

// rotateRight and rotateLeft may change m and the child that insert has just
// copied or made; nobody else holds them yet.
func rotateRight(m *node) *node {
	l := m.left
	m.left, l.right = l.right, m
	return l
}

func rotateLeft(m *node) *node {
	r := m.right
	m.right, r.left = r.left, m
	return r
}

// remove returns the tree n without key.
func remove(n *node, key []byte) *node {
	if n == nil {
		return nil
	}
	c := bytes.Compare(key, n.key)
	if c == 0 {
		return join(n.left, n.right)
	}
	m := *n
	if c < 0 {
		m.left = remove(n.left, key)
	} else {
		m.right = remove(n.right, key)
	}
	return &m
}

// join unites two trees, all keys of a being smaller than those of b.
func join(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		m := *a
		m.right = join(a.right, b)
		return &m
	default:
		m := *b
		m.left = join(a, b.left)
		return &m
	}
}

// walk calls fn in order for each key >= start and ends at the first error.
func walk(n *node, start []byte, fn func(key, value []byte) error) error {
	if n == nil {
		return nil
	}
	if bytes.Compare(n.key, start) >= 0 {
		if err := walk(n.left, start, fn); err != nil {
			return err
		}
		if err := fn(n.key, n.value); err != nil {
			return err
		}
	}
	return walk(n.right, start, fn)
}
