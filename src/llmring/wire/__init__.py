"""Dialects: how requests are written and answers read. Pure: JSON and bytes in, events out; no I/O, no clock, no vendor
package."""
