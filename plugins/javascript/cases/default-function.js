// expect: [{},"object"]
export default function main(given) {
  return [given, typeof credentials];
}
