//! Says its argument on standard error without a line break, and fails.

fn main() {
    eprint!("{}", std::env::args().nth(1).unwrap_or_default());
    std::process::exit(1);
}
