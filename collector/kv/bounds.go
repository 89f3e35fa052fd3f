package kv

import "fmt"

// CheckWrite says whether key and value are within the bounds; engines call it
// for each write, with a nil value for a delete. The error is an ErrTooLarge.
func CheckWrite(key, value []byte) error {
	if len(key) == 0 || len(key) > MaxKeySize {
		return fmt.Errorf("write a key of %d bytes (1 to %d are allowed): %w", len(key), MaxKeySize, ErrTooLarge)
	}
	if len(value) > MaxValueSize {
		return fmt.Errorf("write a value of %d bytes (at most %d are allowed): %w", len(value), MaxValueSize, ErrTooLarge)
	}
	return nil
}

// CheckTx says whether an update of that many writes and bytes (WriteOverhead
// included) is within the bounds. The error is an ErrTooLarge.
func CheckTx(writes, bytes int) error {
	if writes > MaxTxWrites || bytes > MaxTxSize {
		return fmt.Errorf("update of %d writes and %d bytes (at most %d and %d are allowed): %w",
			writes, bytes, MaxTxWrites, MaxTxSize, ErrTooLarge)
	}
	return nil
}
