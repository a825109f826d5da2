//! Makes a thousand sockets of each kind, and answers how many it got.

use wasip2::sockets::network::IpAddressFamily;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp_create_socket::create_udp_socket;

fn main() {
    let tcp: Vec<_> = (0..1000).map_while(|_| create_tcp_socket(IpAddressFamily::Ipv4).ok()).collect();
    let udp: Vec<_> = (0..1000).map_while(|_| create_udp_socket(IpAddressFamily::Ipv6).ok()).collect();
    println!("{}", serde_json::json!({ "tcp": tcp.len(), "udp": udp.len() }));
}
