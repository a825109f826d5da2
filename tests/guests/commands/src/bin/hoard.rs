//! Makes the host keep what it can for one request. Answers how many bytes of
//! each text it took at most, and of a body at once; with `headers`, appends
//! headers until that ends it.

use wasip2::http::types::{Fields, Method, OutgoingRequest, Scheme};

fn main() {
    if std::env::args().nth(1).is_some_and(|what| what == "headers") {
        headers();
    }
    let answer = serde_json::json!({
        "method": most(|request, text| request.set_method(&Method::Other(text)).is_ok()),
        "scheme": most(|request, text| request.set_scheme(Some(&Scheme::Other(text))).is_ok()),
        "authority": most(|request, text| request.set_authority(Some(&text)).is_ok()),
        "path": most(|request, text| request.set_path_with_query(Some(&format!("/{}", &text[1..]))).is_ok()),
        "body": OutgoingRequest::new(Fields::new()).body().and_then(|body| body.write().map(|stream| stream.check_write().unwrap_or(0))).unwrap_or(0),
    });
    println!("{answer}");
}

/// The longest text that was taken, of 1 byte to 4 MiB.
fn most(taken: impl Fn(&OutgoingRequest, String) -> bool) -> usize {
    let request = OutgoingRequest::new(Fields::new());
    let sizes = (0..=22).map(|power| 1 << power);
    sizes.filter(|size| taken(&request, "a".repeat(*size))).max().unwrap_or(0)
}

fn headers() -> ! {
    let fields = Fields::new();
    let value = [b'a'; 1024];
    for count in 1.. {
        fields.append("x", &value).expect("the host takes it");
        println!("{count}");
    }
    unreachable!("the host takes headers without end")
}
