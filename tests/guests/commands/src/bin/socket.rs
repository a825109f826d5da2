//! Tries raw sockets: connects to the address, binds one, sends a datagram,
//! asks for a name. Answers what came of each.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

fn main() {
    let address = std::env::args().nth(1).unwrap_or_default();
    let word = |ok: bool| if ok { "ok" } else { "refused" };
    let datagram = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", &address));
    let answer = serde_json::json!({
        "connect": word(TcpStream::connect(&address).is_ok()),
        "bind": word(TcpListener::bind("127.0.0.1:0").is_ok()),
        "datagram": word(datagram.is_ok()),
        "name": word(("localhost", 80).to_socket_addrs().is_ok_and(|mut found| found.next().is_some())),
    });
    println!("{answer}");
}
