//! A server that answers by a script, one connection a request; after the script it is honest.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// As it should be, with ranges and an ETag.
    Honest,
    /// Honest, but the connection ends after so many bytes of the body.
    CutAfter(usize),
    /// The same of another version of the file.
    CutAfterOther(usize),
    /// Honest, but nothing comes after so many bytes of the body.
    StallAfter(usize),
    /// The whole file, whatever was asked for.
    IgnoreRange,
    /// A part, but another one.
    WrongRange,
    /// Other bytes of the same length.
    Lie,
    /// A body without end.
    Endless,
    /// A length that is too long.
    Longer,
    /// An error, with `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// No answer.
    Silence,
    /// One byte, then nothing.
    Drip,
}

/// `Range` and `If-Range` of a request.
pub type Asked = (Option<String>, Option<String>);

pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_stopped: Arc<AtomicBool>,
}

impl Server {
    pub fn start(content: Vec<u8>, script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (requests, stopped) = (Arc::clone(&asked), Arc::clone(&is_stopped));
        let content = Arc::new(content);
        thread::spawn(move || {
            let mut script = script.into_iter();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let answer = script.next().unwrap_or(Answer::Honest);
                let (requests, content) = (Arc::clone(&requests), Arc::clone(&content));
                // A client that goes away in the middle is no failure of this server.
                thread::spawn(move || serve(stream.unwrap(), &answer, &content, &requests).ok());
            }
        });
        Self { address, asked, is_stopped }
    }

    pub fn url(&self) -> String {
        format!("http://{}/go.zip", self.address)
    }

    /// What every request asked for, so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// From now on nobody answers.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        // The listener closes when its thread sees the flag.
        while TcpStream::connect(self.address).is_ok() {}
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &Answer,
    content: &[u8],
    requests: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let asked = read_request(&stream)?;
    requests.lock().unwrap().push(asked.clone());
    let start = asked
        .0
        .as_deref()
        .and_then(start_of)
        .filter(|_| asked.1.as_deref().is_none_or(|version| version == "\"v1\""));
    match answer {
        Answer::Honest => send(&mut stream, content, start, "v1", content.len()),
        Answer::CutAfter(bytes) => send(&mut stream, content, start, "v1", *bytes),
        Answer::CutAfterOther(bytes) => {
            send(&mut stream, &vec![b'x'; content.len()], start, "v0", *bytes)
        }
        Answer::StallAfter(bytes) => {
            send(&mut stream, content, start, "v1", *bytes)?;
            until_closed(&mut stream)
        }
        Answer::IgnoreRange => send(&mut stream, content, None, "v1", content.len()),
        Answer::WrongRange => send(&mut stream, content, Some(7), "v1", content.len()),
        Answer::Lie => send(&mut stream, &vec![b'x'; content.len()], start, "v1", content.len()),
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 1 << 16])?;
            }
        }
        Answer::Longer => send(&mut stream, &[content, b"x"].concat(), start, "v1", usize::MAX),
        Answer::Status(status, retry_after) => {
            let wait = retry_after.map(|s| format!("Retry-After: {s}\r\n")).unwrap_or_default();
            write!(
                stream,
                "HTTP/1.1 {status} No\r\n{wait}Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        Answer::Silence => until_closed(&mut stream),
        Answer::Drip => {
            send(&mut stream, content, start, "v1", 1)?;
            until_closed(&mut stream)
        }
    }
}

fn read_request(stream: &TcpStream) -> std::io::Result<Asked> {
    let mut asked = (None, None);
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "range" => asked.0 = Some(value.to_owned()),
            "if-range" => asked.1 = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(asked)
}

fn start_of(range: &str) -> Option<usize> {
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// Sends at most `most` bytes of what is asked for.
fn send(
    stream: &mut TcpStream,
    content: &[u8],
    start: Option<usize>,
    version: &str,
    most: usize,
) -> std::io::Result<()> {
    let total = content.len();
    let (status, range) = match start {
        Some(start) if start >= total => {
            let head = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n";
            return write!(
                stream,
                "{head}Content-Range: bytes */{total}\r\nConnection: close\r\n\r\n"
            );
        }
        Some(start) => {
            let last = total - 1;
            ("206 Partial Content", format!("Content-Range: bytes {start}-{last}/{total}\r\n"))
        }
        None => ("200 OK", String::new()),
    };
    let body = &content[start.unwrap_or(0)..];
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{range}ETag: \"{version}\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body[..length.min(most)])
}

/// Keeps the connection until the other side ends it.
fn until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read_to_end(&mut Vec::new()).map(drop)
}
