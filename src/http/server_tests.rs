use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

/// So long that a test fails when it is reached.
const EVER: Duration = Duration::from_secs(20);

struct Running {
    addr: SocketAddr,
    stop: CancellationToken,
    draining: Arc<AtomicBool>,
    ended: JoinHandle<Drained>,
}

/// A server with short times, after `tweak`.
async fn start(app: Router, tweak: impl FnOnce(&mut Server)) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, stop, draining) = (listener.local_addr().unwrap(), CancellationToken::new(), Arc::default());
    let mut server = Server::new(app, &HttpConfig::default(), Arc::clone(&draining));
    server.grace = Duration::from_millis(20);
    server.patience.linger = Duration::from_millis(20);
    tweak(&mut server);
    let ended = tokio::spawn(server.run(listener, stop.clone()));
    Running { addr, stop, draining, ended }
}

/// Gives a server `most` places, and an end that waits for nobody.
fn limit(server: &mut Server, most: usize) {
    server.drain = Duration::from_millis(100);
    server.most = most;
    server.places = Arc::new(Semaphore::new(most));
}

impl Running {
    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn stopped(self) -> Drained {
        self.stop.cancel();
        timeout(EVER, self.ended).await.expect("the server never ended").unwrap()
    }
}

async fn ask(client: &mut TcpStream, head: &str) -> String {
    client.write_all(head.as_bytes()).await.unwrap();
    let mut reply = [0; 4096];
    let read = timeout(EVER, client.read(&mut reply)).await.expect("no reply").unwrap();
    String::from_utf8_lossy(&reply[..read]).into_owned()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_handler_knows_its_peer() {
    let show = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() };
    let server = start(Router::new().route("/", get(show)), |_| {}).await;
    let mut client = server.client().await;
    for _ in 0..3 {
        assert!(ask(&mut client, GET).await.ends_with("127.0.0.1"), "and keeps its connection");
    }
    assert_eq!(server.stopped().await, Drained { cut_off: 0 });
}

#[tokio::test]
async fn a_request_under_way_ends_before_the_server_does() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_begun, handler_go) = (begun.clone(), go.clone());
    let slow = move || async move {
        handler_begun.notify_one();
        handler_go.notified().await;
        "finished"
    };
    let server = start(Router::new().route("/", get(slow)), |_| {}).await;
    let mut client = server.client().await;
    client.write_all(GET.as_bytes()).await.unwrap();
    begun.notified().await;
    let (addr, draining) = (server.addr, server.draining.clone());
    let stopped = tokio::spawn(server.stopped());
    // Nothing is accepted any more once the listener is gone.
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(draining.load(Ordering::Relaxed), "/readyz fails first");
    go.notify_one();
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.unwrap();
    assert!(reply.contains("connection: close") && reply.ends_with("finished"), "{reply}");
    assert_eq!(stopped.await.unwrap(), Drained { cut_off: 0 });
}

#[tokio::test]
async fn a_server_ends_whatever_its_clients_do() {
    let endless = || async {
        let pieces = futures_util::stream::repeat_with(|| Ok::<_, Infallible>(vec![0_u8; 1 << 16]));
        Body::from_stream(pieces)
    };
    let app = Router::new()
        .route("/", get(|| async { "quick" }))
        .route("/endless", get(endless))
        .route("/body", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/never", get(std::future::pending::<()>));
    let server = start(app, |server| server.drain = Duration::from_millis(100)).await;
    let hold = async |bytes: &[u8]| {
        let mut client = server.client().await;
        client.write_all(bytes).await.unwrap();
        client
    };
    let clients = [
        hold(b"").await,
        hold(b"GET / HTTP/1.1\r\nho").await,
        hold(b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc").await,
        hold(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await,
        hold(b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await,
    ];
    let mut idle = server.client().await;
    assert!(ask(&mut idle, GET).await.ends_with("quick"));
    let drained = server.stopped().await;
    assert_eq!(drained, Drained { cut_off: 4 }, "all but the two that wait for no reply");
    drop(clients);
}

#[tokio::test]
async fn a_full_server_makes_room_by_closing_whoever_waits_longest() {
    let server = start(Router::new().route("/", get(|| async { "quick" })), |server| {
        limit(server, 3);
    })
    .await;
    let mut silent = Vec::new();
    for n in 0..30 {
        let mut client = server.client().await;
        if n % 2 == 0 {
            client.write_all(b"GET / HT").await.unwrap();
        }
        silent.push(client);
    }
    assert!(ask(&mut server.client().await, GET).await.ends_with("quick"));
    assert_eq!(timeout(EVER, silent[0].read(&mut [0])).await.unwrap().unwrap_or(0), 0, "the first was closed");
    server.stopped().await;
}

#[tokio::test]
async fn a_busy_connection_is_never_closed_to_make_room() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_begun, handler_go) = (begun.clone(), go.clone());
    let slow = move || async move {
        handler_begun.notify_one();
        handler_go.notified().await;
        "finished"
    };
    let app = Router::new().route("/slow", get(slow)).route("/", get(|| async { "quick" }));
    let server = start(app, |server| limit(server, 2)).await;
    let mut busy = server.client().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    begun.notified().await;
    for _ in 0..5 {
        assert!(ask(&mut server.client().await, GET).await.ends_with("quick"));
    }
    go.notify_one();
    assert!(ask(&mut busy, "").await.ends_with("finished"));
    server.stopped().await;
}

#[tokio::test]
async fn a_large_body_that_is_refused_unread_still_gets_its_reply() {
    let refuse = || async { (StatusCode::PAYLOAD_TOO_LARGE, "too large") };
    let server = start(Router::new().route("/", post(refuse)), |server| server.patience.linger = LINGER).await;
    let (mut read, mut write) = server.client().await.into_split();
    let sending = tokio::spawn(async move {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 64 << 20);
        write.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![0; 1 << 16];
        while write.write_all(&piece).await.is_ok() {}
    });
    let mut reply = Vec::new();
    let mut piece = [0; 1024];
    while !reply.ends_with(b"too large") {
        let count = timeout(EVER, read.read(&mut piece)).await.unwrap().expect("reset before the reply was read");
        assert!(count > 0, "closed before the reply was read");
        reply.extend_from_slice(&piece[..count]);
    }
    assert!(reply.starts_with(b"HTTP/1.1 413"));
    sending.abort();
    server.stopped().await;
}

#[tokio::test]
async fn a_head_without_measure_is_refused() {
    let server = start(Router::new().route("/", get(|| async { "quick" })), |_| {}).await;
    let many = "x-many: y\r\n".repeat(10_000);
    let long = "a".repeat(1 << 20);
    for head in [format!("GET / HTTP/1.1\r\n{many}\r\n"), format!("GET /{long} HTTP/1.1\r\n\r\n")] {
        let mut client = server.client().await;
        let (mut read, mut write) = client.split();
        let (_, reply) = tokio::join!(write.write_all(head.as_bytes()), async {
            let mut reply = [0; 1024];
            let count = timeout(EVER, read.read(&mut reply)).await.unwrap().unwrap();
            String::from_utf8_lossy(&reply[..count]).into_owned()
        });
        assert!(reply.starts_with("HTTP/1.1 431") || reply.starts_with("HTTP/1.1 414"), "{reply}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_handler_ends_when_its_client_leaves() {
    struct Told(Arc<Notify>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (begun, left) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_begun, handler_left) = (begun.clone(), left.clone());
    let handler = move || {
        let told = Told(handler_left.clone());
        let begun = handler_begun.clone();
        async move {
            let _told = told;
            begun.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let server = start(Router::new().route("/", get(handler)), |_| {}).await;
    let mut client = server.client().await;
    client.write_all(GET.as_bytes()).await.unwrap();
    begun.notified().await;
    drop(client);
    timeout(EVER, left.notified()).await.expect("the handler went on");
    assert_eq!(server.stopped().await, Drained { cut_off: 0 });
}

/// Half a request with a body, as somebody sends who wants to hold a place.
const HALF: &[u8] = b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\nt";

/// Takes a body from anybody.
fn open_to_strangers() -> Router {
    Router::new()
        .route("/body", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/", get(|| async { "quick" }))
}

#[tokio::test]
async fn half_sent_requests_of_a_stranger_never_fill_the_server() {
    let server = start(open_to_strangers(), |server| limit(server, 32)).await;
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let mut client = server.client().await;
        client.write_all(HALF).await.unwrap();
        strangers.push(client);
    }
    for _ in 0..3 {
        assert!(ask(&mut server.client().await, GET).await.ends_with("quick"));
    }
    assert_eq!(timeout(EVER, strangers[0].read(&mut [0])).await.unwrap().unwrap_or(0), 0, "the oldest was cut");
    server.stopped().await;
}

#[tokio::test]
async fn whoever_showed_a_credential_is_not_cut_to_make_room() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_begun, handler_go) = (begun.clone(), go.clone());
    let proved = move |connection: axum::Extension<Connection>| async move {
        connection.prove();
        handler_begun.notify_one();
        handler_go.notified().await;
        "finished"
    };
    let app = open_to_strangers().route("/slow", get(proved));
    let server = start(app, |server| limit(server, 4)).await;
    let mut known = server.client().await;
    known.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    begun.notified().await;
    let mut strangers = Vec::new();
    for _ in 0..20 {
        let mut client = server.client().await;
        client.write_all(HALF).await.unwrap();
        strangers.push(client);
    }
    assert!(ask(&mut server.client().await, GET).await.ends_with("quick"));
    go.notify_one();
    assert!(ask(&mut known, "").await.ends_with("finished"));
    server.stopped().await;
}

#[tokio::test]
async fn a_server_full_of_work_still_accepts_health_checks() {
    let marked = |request: axum::extract::Request| async move {
        if request.extensions().get::<HealthOnly>().is_some() { "health only" } else { "any" }
    };
    let begun = Arc::new(Notify::new());
    let handler_begun = begun.clone();
    let proved = move |connection: axum::Extension<Connection>| async move {
        connection.prove();
        handler_begun.notify_one();
        std::future::pending::<()>().await;
    };
    let app = Router::new().route("/", get(marked)).route("/never", get(proved));
    let server = start(app, |server| limit(server, 2)).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = server.client().await;
        client.write_all(b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        begun.notified().await;
        busy.push(client);
    }
    assert!(ask(&mut server.client().await, GET).await.ends_with("health only"));
    server.stopped().await;
}
