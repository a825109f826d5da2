//! Writes its arguments as they are: the first to standard output, each other
//! one as a line to standard error.

fn main() {
    let mut args = std::env::args().skip(1);
    print!("{}", args.next().unwrap_or_default());
    args.for_each(|line| eprintln!("{line}"));
}
