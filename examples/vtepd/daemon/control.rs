//! The control socket: one line in, an answer out, then the end; `monitor` goes on until either side ends it.
//!
//! An answer starts with a line `ok`, or is a single line `error: ` and a sentence.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use nix::sys::stat::{Mode, umask};
use vtep::table::Instant;

use super::answer::Answer;
use super::{Daemon, tokens};
use crate::request;
use crate::rows::News;

/// Most clients at a time.
const CLIENTS: usize = 64;
/// The longest request.
const LONGEST: usize = 4096;
/// Bytes that wait for a client, beyond which a monitor's events are lost.
const WAITING: usize = 1 << 20;

pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    clients: BTreeMap<usize, Client>,
    next: usize,
}

struct Client {
    stream: UnixStream,
    request: Vec<u8>,
    out: Vec<u8>,
    /// What follows `out`.
    more: Option<Box<dyn Read>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Asking,
    /// Events follow, as JSON or not; so many were lost on the way to this client.
    Monitoring {
        json: bool,
        lost: u64,
    },
    /// Nothing follows what waits.
    Answered,
    /// Everything is written; what it may still say is read away, for a connection that is closed over unread bytes
    /// takes the answer with it.
    Finished,
}

impl Control {
    /// Makes the socket, for this user only. One that a dead vtepd left behind is taken away.
    pub fn open(path: &Path, registry: &Registry) -> Result<Self, String> {
        let name = path.display();
        let open = || {
            // No moment at which others could connect.
            let mask = umask(Mode::from_bits_truncate(0o177));
            let listener = UnixListener::bind(path);
            umask(mask);
            listener
        };
        let listener = match open() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if Blocking::connect(path).is_ok() {
                    return Err(format!("another vtepd answers at {name}: end it, or write another --ctl"));
                }
                std::fs::remove_file(path).and_then(|()| open())
            }
            listener => listener,
        };
        let mut listener = listener.map_err(|error| format!("{name}: {error}"))?;
        registry.register(&mut listener, tokens::CONTROL, Interest::READABLE).map_err(|error| error.to_string())?;
        Ok(Self { listener, path: path.to_owned(), clients: BTreeMap::new(), next: tokens::CLIENTS })
    }

    fn accept(&mut self, registry: &Registry) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let token = Token(self.next);
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.clients.len() >= CLIENTS {
                // Whoever has the answer has no claim to stay.
                self.clients.retain(|_, client| client.state != State::Finished);
            }
            if self.clients.len() >= CLIENTS {
                // It may not hear it; that is all there is to do for it.
                let _ = stream.write_all(b"error: too many clients\n");
            } else if registry.register(&mut stream, token, interest).is_ok() {
                self.next += 1;
                self.clients.insert(token.0, Client::new(stream));
            }
        }
    }

    /// Reads from a client, and says what it asks for once that is known.
    fn read(&mut self, token: Token) -> Option<Result<String, String>> {
        let client = self.clients.get_mut(&token.0)?;
        let mut bytes = [0; 1024];
        loop {
            match client.stream.read(&mut bytes) {
                Ok(0) if client.state == State::Asking && !client.request.is_empty() => return Some(client.line()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // It has nothing more to say, and still listens to the answer.
                Ok(0) if client.state == State::Answered => return None,
                Ok(0) | Err(_) => {
                    self.clients.remove(&token.0);
                    return None;
                }
                Ok(_) if client.state != State::Asking => {}
                Ok(len) => {
                    client.request.extend_from_slice(&bytes[..len]);
                    if client.request.contains(&b'\n') || client.request.len() > LONGEST {
                        return Some(client.line());
                    }
                }
            }
        }
    }

    fn answer(&mut self, token: Token, answer: Answer) {
        let Some(client) = self.clients.get_mut(&token.0) else { return };
        client.state = State::Answered;
        client.out.extend_from_slice(b"ok\n");
        match answer {
            Answer::Text(text) => client.out.extend_from_slice(text.as_bytes()),
            Answer::Stream(more) => client.more = Some(more),
            Answer::Monitor { json } => client.state = State::Monitoring { json, lost: 0 },
            Answer::Refused(sentence) => client.out = format!("error: {sentence}\n").into_bytes(),
        }
    }

    /// Writes what a client takes.
    fn write(&mut self, token: Token) {
        if self.clients.get_mut(&token.0).is_some_and(|client| client.write().is_err()) {
            self.clients.remove(&token.0);
        }
    }

    /// Whether anybody wants events.
    pub fn is_monitored(&self) -> bool {
        self.clients.values().any(|client| matches!(client.state, State::Monitoring { .. }))
    }

    /// Tells an event to all who want them.
    pub fn tell(&mut self, news: &News) {
        for client in self.clients.values_mut() {
            let State::Monitoring { json, lost } = &mut client.state else { continue };
            if client.out.len() > WAITING {
                *lost += 1;
                continue;
            }
            if *lost != 0 {
                let line = if *json { format!("{{\"lost\":{lost}}}\n") } else { format!("lost {lost} events\n") };
                client.out.extend_from_slice(line.as_bytes());
                *lost = 0;
            }
            let line = if *json { news.json().to_string() } else { news.to_string() };
            client.out.extend_from_slice(line.as_bytes());
            client.out.push(b'\n');
        }
    }

    /// Writes what all clients take.
    pub fn write_all(&mut self) {
        for token in self.clients.keys().copied().map(Token).collect::<Vec<_>>() {
            self.write(token);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Client {
    fn new(stream: UnixStream) -> Self {
        Self { stream, request: Vec::new(), out: Vec::new(), more: None, state: State::Asking }
    }

    /// The first line it sent.
    fn line(&mut self) -> Result<String, String> {
        let line = self.request.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        if line.len() > LONGEST {
            return Err(format!("the request is longer than {LONGEST} bytes"));
        }
        String::from_utf8(line.to_vec()).map_err(|_| "the request is not text".to_owned())
    }

    fn write(&mut self) -> io::Result<()> {
        loop {
            if self.out.is_empty() && !self.refill()? {
                if self.state == State::Answered {
                    self.state = State::Finished;
                    self.stream.shutdown(Shutdown::Write)?;
                }
                return Ok(());
            }
            match self.stream.write(&self.out) {
                Ok(len) => drop(self.out.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the next piece of what follows; `false` at its end.
    fn refill(&mut self) -> io::Result<bool> {
        let Some(more) = &mut self.more else { return Ok(false) };
        let mut piece = vec![0; 1 << 16];
        let len = more.read(&mut piece)?;
        piece.truncate(len);
        self.out = piece;
        if len == 0 {
            self.more = None;
        }
        Ok(len != 0)
    }
}

impl Daemon<'_> {
    pub fn accept_clients(&mut self) {
        if let Some(control) = &mut self.control {
            control.accept(self.poll.registry());
        }
    }

    /// Reads a client's request and answers it, or goes on with an answer.
    pub fn serve_client(&mut self, now: Instant, token: Token) {
        let Some(control) = &mut self.control else { return };
        let asked = control.read(token);
        if let Some(asked) = asked {
            let answer = match asked.and_then(|line| request::parse(&line)) {
                Ok(request) => self.answer(now, &request),
                Err(sentence) => Answer::Refused(sentence),
            };
            if let Some(control) = &mut self.control {
                control.answer(token, answer);
            }
        }
        if let Some(control) = &mut self.control {
            control.write(token);
        }
    }

    /// Hands the engine's events on to whoever monitors them.
    pub fn tell_news(&mut self) {
        let Self { node, setup, control, .. } = self;
        let mut told = false;
        while let Some(event) = node.poll_event() {
            let Some(control) = control.as_mut().filter(|control| control.is_monitored()) else { continue };
            if let Some(news) = News::of(node.engine(), setup, &event) {
                control.tell(&news);
                told = true;
            }
        }
        if let Some(control) = control.as_mut().filter(|_| told) {
            control.write_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;
    use std::os::unix::fs::PermissionsExt;

    /// A control socket and its clients, without a daemon behind it.
    struct Desk {
        control: Control,
        poll: Poll,
        path: PathBuf,
    }

    impl Desk {
        fn open(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("vtep-{name}-{}", std::process::id()));
            let poll = Poll::new().unwrap();
            Self { control: Control::open(&path, poll.registry()).unwrap(), poll, path }
        }

        /// A client, and what the daemon calls it.
        fn connect(&mut self) -> (Blocking, Token) {
            let token = Token(self.control.next);
            let client = Blocking::connect(&self.path).unwrap();
            self.control.accept(self.poll.registry());
            (client, token)
        }

        /// Says something, and hears what is answered to it.
        fn ask(&mut self, request: &[u8]) -> String {
            let (mut client, token) = self.connect();
            client.write_all(request).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let answer = match self.control.read(token).unwrap() {
                Ok(line) => Answer::Text(line),
                Err(sentence) => Answer::Refused(sentence),
            };
            self.control.answer(token, answer);
            self.control.write(token);
            let mut heard = String::new();
            client.read_to_string(&mut heard).unwrap();
            heard
        }
    }

    #[test]
    fn only_its_user_may_connect() {
        let desk = Desk::open("mode");
        assert_eq!(std::fs::metadata(&desk.path).unwrap().permissions().mode() & 0o777, 0o600);
        let poll = Poll::new().unwrap();
        let again = Control::open(&desk.path, poll.registry()).err().unwrap();
        assert!(again.contains("another vtepd answers"), "{again}");
        let path = desk.path.clone();
        drop(desk);
        assert!(!path.exists());
        // What a dead one left behind is taken away.
        drop(Blocking::connect(&path).err().unwrap());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(Control::open(&path, poll.registry()).unwrap());
    }

    #[test]
    fn garbage_is_answered() {
        let mut desk = Desk::open("garbage");
        assert_eq!(desk.ask(b"fdb show\n"), "ok\nfdb show");
        assert_eq!(desk.ask(b"fdb show"), "ok\nfdb show");
        assert_eq!(desk.ask(b"fdb show\nfdb show\n"), "ok\nfdb show");
        assert_eq!(desk.ask(b"\xff\xfe\n"), "error: the request is not text\n");
        assert_eq!(desk.ask(&[b'x'; 20_000]), "error: the request is longer than 4096 bytes\n");
    }

    #[test]
    fn those_who_leave_are_forgotten() {
        let mut desk = Desk::open("leave");
        let (client, token) = desk.connect();
        assert_eq!(desk.control.clients.len(), 1);
        assert!(desk.control.read(token).is_none());
        drop(client);
        assert!(desk.control.read(token).is_none());
        assert!(desk.control.clients.is_empty());
        // Nobody asks after a token that is gone.
        desk.control.answer(token, Answer::Text(String::new()));
        desk.control.write(token);
    }

    #[test]
    fn too_many_are_told_so() {
        let mut desk = Desk::open("many");
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| desk.connect()).collect();
        let (mut one_more, _) = desk.connect();
        let mut heard = String::new();
        one_more.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "error: too many clients\n");
        // One that has its answer makes room.
        let (mut first, token) = clients.remove(0);
        first.write_all(b"log\n").unwrap();
        assert_eq!(desk.control.read(token), Some(Ok("log".to_owned())));
        desk.control.answer(token, Answer::Stream(Box::new(io::Cursor::new(vec![b'x'; 100_000]))));
        desk.control.write(token);
        first.read_to_string(&mut heard).unwrap();
        assert_eq!(heard.len(), "error: too many clients\nok\n".len() + 100_000);
        assert!(desk.connect().0.set_nonblocking(true).is_ok());
        assert_eq!(desk.control.clients.len(), CLIENTS);
    }
}
