//! A download mirror on this machine: the files of one folder, over HTTP, whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;

/// Serves the files of a folder until this process ends; gives its address.
pub fn serve(folder: &Path) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let folder = folder.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let folder = folder.clone();
            thread::spawn(move || {
                if let Err(error) = stream.and_then(|stream| answer(stream, &folder)) {
                    eprintln!("the mirror: {error}");
                }
            });
        }
    });
    Ok(url)
}

fn answer(mut stream: TcpStream, folder: &Path) -> io::Result<()> {
    let mut request = String::new();
    let mut lines = BufReader::new(&stream);
    lines.read_line(&mut request)?;
    for line in lines.lines() {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let Some((mut file, length)) = open(folder, path) else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    match method {
        "HEAD" => Ok(()),
        _ => io::copy(&mut file, &mut stream).map(drop),
    }
}

/// A file that lies in the folder itself.
fn open(folder: &Path, path: &str) -> Option<(File, u64)> {
    let name = PathBuf::from(path.split('?').next()?).file_name()?.to_owned();
    let file = File::open(folder.join(name)).ok()?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    Some((file, length))
}
