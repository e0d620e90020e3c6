//! The smallest web application: says hello, and which version of it answers. Needs nothing but Rust.
use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};

const VERSION: &str = "1";

fn answer(mut client: TcpStream) -> Result<()> {
    for line in BufReader::new(client.try_clone()?).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let body = format!("Hello from Karreg, version {VERSION}\n");
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn main() -> Result<()> {
    let port = std::env::var("PORT").unwrap_or("8080".into());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    println!("version {VERSION} listens on port {port}");
    for client in listener.incoming().flatten() {
        std::thread::spawn(move || answer(client));
    }
    Ok(())
}
