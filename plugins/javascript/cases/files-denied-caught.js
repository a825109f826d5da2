// expect: ["PermissionDenied","EACCES","/etc/passwd"]
try {
  await fs.readFile("/etc/passwd");
} catch (error) {
  return [error.name, error.code, error.path];
}
