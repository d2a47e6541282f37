//! A local HTTP server for tests, which answers with exactly the bytes that a function returns.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// A whole request; empty if it is not HTTP, for example a TLS handshake.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The request line and the headers.
    pub head: Vec<String>,
    pub body: String,
}

impl Request {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        if !reader.fill_buf().is_ok_and(|start| start.first().is_some_and(u8::is_ascii_uppercase)) {
            return Self::default();
        }
        let lines = reader.by_ref().lines().map_while(Result::ok);
        let mut request = Self { head: lines.take_while(|line| !line.is_empty()).collect(), body: String::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body).unwrap();
        request.body = String::from_utf8_lossy(&body).into_owned();
        request
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.iter().filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Answers every connection once, each in a thread, and returns the URL of the server.
pub fn serve(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let answer = answer(&Request::read(&stream));
                // The client may have ended the connection.
                let _ = stream.write_all(&answer);
            });
        }
    });
    url
}

/// Formats a response. `headers` are whole lines.
pub fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}
