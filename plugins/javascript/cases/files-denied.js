// expect-failure: denied PermissionDenied: EACCES: permission denied: no folder of this task holds it, open '/etc/passwd'
// expect-position: 3:10
await fs.readFile("/etc/passwd");
