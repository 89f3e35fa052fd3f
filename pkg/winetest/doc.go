// Package winetest runs the Windows agent under Wine, as a process from
// outside: its registry, its service and its commands.
package winetest
