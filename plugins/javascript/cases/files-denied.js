// expect-failure: denied PermissionDenied: EACCES: permission denied, open '/etc/passwd'
// expect-position: 3:10
await fs.readFile("/etc/passwd");
