//! A small HTTP server on loopback that plays the issuer's address of keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200 with this body.
    Document(String),
    /// 200 with this body and without a Content-Length.
    Unannounced(String),
    /// 200 with a body that never ends.
    Endless,
    /// This status and header line, with this body.
    Status(&'static str, String, String),
    /// The head at once, then a byte now and then.
    Drip,
    /// Nothing, ever.
    Silence,
    /// The connection is closed.
    HangUp,
    /// 200 with this body, after a while.
    Late(Duration, String),
}

pub struct Server {
    pub address: String,
    state: Arc<Mutex<(Answer, Vec<String>)>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/keys", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new((answer, Vec::new())));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    pub fn answer(&self, answer: Answer) {
        self.state.lock().unwrap().0 = answer;
    }

    /// The first lines of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().1.clone()
    }

    pub fn request_count(&self) -> usize {
        self.requests().len()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<(Answer, Vec<String>)>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        request.push(byte[0]);
    }
    let answer = {
        let mut state = state.lock().unwrap();
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
        state.1.push(line);
        state.0.clone()
    };
    // The client may be gone before the answer is.
    let _ = write(&mut stream, answer).await;
    let _ = stream.shutdown().await;
}

async fn write(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    match answer {
        Answer::Document(body) => {
            stream.write_all(format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await
        }
        Answer::Unannounced(body) => stream.write_all(format!("{HEAD}\r\n{body}").as_bytes()).await,
        Answer::Endless => {
            stream.write_all(format!("{HEAD}\r\n{{\"keys\":[").as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 1024]).await?;
            }
        }
        Answer::Status(status, header, body) => {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\n{header}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).await
        }
        Answer::Drip => {
            stream.write_all(format!("{HEAD}\r\n").as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Answer::Silence => std::future::pending().await,
        Answer::HangUp => Ok(()),
        Answer::Late(delay, body) => {
            tokio::time::sleep(delay).await;
            stream.write_all(format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await
        }
    }
}
