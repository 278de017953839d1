// Package vfs is the only door to files: the operating system's, and one in memory that crashes on demand.
// It is called by the storage engines, the metadata store and the command line; it calls the operating system.
//
// What holds:
//
//	VFS-1  All files go through FS.
//	VFS-2  A created or renamed file exists after a crash only if its directory was synced.
//	VFS-3  After a failed Sync the file is poisoned: nothing later on it is reported durable.
//	VFS-4  Mem.Crash(rng) may lose, keep or tear any unsynced block, and never a synced one.
//
// Why our own and not Pebble's vfs: docs/adr/0002-vfs.md (truncate, direct I/O, positioned writes).
//
// How it is tested: the same random operations on OS and on Mem give the same answers; crashes of Mem are compared with a copy of what
// was synced and of what was written; faults are injected by Mem.Fail.
//
// Files: fs.go the contract · os.go with os_unix, os_linux, os_darwin and os_windows the operating system · mem.go with mem_fs,
// mem_file, mem_entries the file system in memory · mem_crash.go what a crash leaves.
package vfs
