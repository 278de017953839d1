// Package e2e drives a real broker over sockets with real clients and checks what a user would see: what was acknowledged is read back, every
// door shows the same records, settings act, and a restart loses nothing. It starts its brokers with rafkatest.
package e2e
