// expect: ["https://example.com/b?q=1#h","http://127.0.0.1/","http://127.0.0.1/","http://0.0.0.7/","http://[::1]/","https://example.com/","http://h/a%20b?c=%20d","no","no","http://h:81/x?y=z","a=1&b=2+3&c=%C3%BC",2,"x=1&y=2","null"]
const parsed = (text, base) => {
  try {
    return new URL(text, base).href;
  } catch {
    return "no";
  }
};
const changed = new URL("http://h/");
changed.port = "81";
changed.pathname = "x";
changed.searchParams.set("y", "z");
const params = new URLSearchParams([["a", "1"], ["b", "2 3"]]);
params.append("c", "ü");
const followed = new URL("http://h/?x=1");
followed.search = "?x=1&y=2";
return [
  parsed("../b?q=1#h", "https://example.com/a/c"),
  parsed("http://2130706433/"),
  parsed("http://0x7f.1/"),
  parsed("http://7"),
  parsed("http://[0:0::1]"),
  parsed("https://EXAMPLE.com:443"),
  parsed("http://h/a b?c= d"),
  parsed("http://256.256.256.256/"),
  parsed("relative"),
  changed.href,
  params.toString(),
  followed.searchParams.size,
  followed.searchParams.toString(),
  new URL("data:,x").origin,
];
