package catalog

import "context"

// Arrange is how Upkeep begins.
func (c *Catalog) Arrange(ctx context.Context) error { return c.arrange(ctx) }
