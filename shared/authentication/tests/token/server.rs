//! A small HTTP server on loopback that serves the issuer's keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The server's behavior for a request.
#[derive(Clone, Debug)]
pub enum Behavior {
    /// 200 with this body.
    Document(String),
    /// 200 with this body and without a Content-Length.
    Unannounced(String),
    /// 200 with a body that never ends.
    Endless,
    /// A response with this status, header line and body.
    Status(&'static str, String, String),
    /// The head at once, then the body byte by byte.
    Drip,
    /// No response.
    Silence,
    /// The connection is closed.
    HangUp,
    /// 200 with this body, after a delay.
    Late(Duration, String),
}

pub struct Server {
    pub address: String,
    state: Arc<Mutex<(Behavior, Vec<String>)>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/keys", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new((behavior, Vec::new())));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    pub fn behave(&self, behavior: Behavior) {
        self.state.lock().unwrap().0 = behavior;
    }

    /// Returns the first line of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().1.clone()
    }

    pub fn request_count(&self) -> usize {
        self.requests().len()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<(Behavior, Vec<String>)>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        request.push(byte[0]);
    }
    let behavior = {
        let mut state = state.lock().unwrap();
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
        state.1.push(line);
        state.0.clone()
    };
    // The client may close the connection before the response is written.
    let _ = write(&mut stream, behavior).await;
    let _ = stream.shutdown().await;
}

async fn write(stream: &mut TcpStream, behavior: Behavior) -> std::io::Result<()> {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    match behavior {
        Behavior::Document(body) => {
            stream.write_all(format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await
        }
        Behavior::Unannounced(body) => stream.write_all(format!("{HEAD}\r\n{body}").as_bytes()).await,
        Behavior::Endless => {
            stream.write_all(format!("{HEAD}\r\n{{\"keys\":[").as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 1024]).await?;
            }
        }
        Behavior::Status(status, header, body) => {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\n{header}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).await
        }
        Behavior::Drip => {
            stream.write_all(format!("{HEAD}\r\n").as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Behavior::Silence => std::future::pending().await,
        Behavior::HangUp => Ok(()),
        Behavior::Late(delay, body) => {
            tokio::time::sleep(delay).await;
            stream.write_all(format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await
        }
    }
}
