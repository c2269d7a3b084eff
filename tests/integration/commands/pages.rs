//! The built pages, served from the folder that `READDRESS_WEB_ROOT` names.

use std::path::Path;

use readdress::dev::{DEMO_PASSWORD, DEMO_USER, MAILBOX};
use reqwest::Method;

use super::{CANARY, Fresh, assert_good, assert_refused};
use crate::support::Answer;
use crate::support::process::{Running, Shell};
use crate::wire::exchange;

const INDEX: &str = "<!doctype html><html lang=\"en\"><head><title>t</title>\
                     <!-- readdress-demo --></head><body></body></html>";
const SCRIPT: &str = "/assets/index-B4z7.js";
const PAGES: [&str; 5] = [
    "/",
    "/new-email",
    "/email-activation",
    "/cancel-email-change",
    "/undo-email-change",
];
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

fn write(root: &Path, name: &str, content: &str) {
    let file = root.join(name);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    std::fs::write(file, content).expect("written");
}

/// What a build leaves in `root`, and what other programs leave beside it.
fn build(root: &Path) {
    write(root, "index.html", INDEX);
    write(root, &SCRIPT[1..], &"console.log(1);\n".repeat(200));
    for name in [
        "assets/index-C5a8.css",
        "assets/sans-D6b9.woff2",
        "assets/logo-E7c1.svg",
        "assets/shot-F8d2.png",
        "favicon.ico",
        "favicon.svg",
        "robots.txt",
        "site.webmanifest",
        "licences",
    ] {
        write(root, name, "content of it");
    }
    write(root, ".env", CANARY);
    write(root, ".git/config", CANARY);
    write(root.parent().expect("a parent"), "secret.txt", CANARY);
}

async fn serve() -> (Fresh, Running) {
    let mut fresh = Fresh::on_sqlite();
    let root = fresh.shell.path().join("pages");
    build(&root);
    serve_folder(&mut fresh, &root).await
}

async fn serve_folder(fresh: &mut Fresh, root: &Path) -> (Fresh, Running) {
    let mut fresh = std::mem::replace(fresh, Fresh::on_sqlite());
    fresh.migrate().await;
    fresh.configure("smtp://127.0.0.1:1?tls=none");
    let root = root.to_str().expect("UTF-8");
    fresh.shell.set("READDRESS_WEB_ROOT", root);
    let server = fresh.shell.start("serve").await;
    (fresh, server)
}

async fn send(server: &Running, method: Method, path: &str, header: (&str, &str)) -> Answer {
    let request = server.http.request(method, format!("{}{path}", server.url));
    let request = request.header(header.0, header.1);
    Answer::read(request.send().await.expect("an answer")).await
}

async fn navigate(server: &Running, path: &str) -> Answer {
    let accept = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    send(server, Method::GET, path, accept).await
}

#[track_caller]
fn assert_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_address_of_a_page_answers_with_the_page() {
    let (_fresh, server) = serve().await;
    for path in PAGES {
        for path in [path.to_owned(), format!("{path}?token=a.b.c")] {
            let answer = server.get(&path).await;
            assert_page(&answer, 200);
            assert_eq!(answer.text, INDEX, "and no mailbox to look into");
        }
    }
    assert_eq!(server.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_have_their_types_and_hashed_ones_are_kept_for_ever() {
    let (_fresh, server) = serve().await;
    let forever = "public, max-age=31536000, immutable";
    for (path, content_type, cache_control) in [
        (SCRIPT, "text/javascript; charset=utf-8", forever),
        ("/assets/index-C5a8.css", "text/css; charset=utf-8", forever),
        ("/assets/sans-D6b9.woff2", "font/woff2", forever),
        ("/assets/logo-E7c1.svg", "image/svg+xml", forever),
        ("/assets/shot-F8d2.png", "image/png", forever),
        ("/favicon.ico", "image/x-icon", "no-cache"),
        ("/favicon.svg", "image/svg+xml", "no-cache"),
        ("/robots.txt", "text/plain; charset=utf-8", "no-cache"),
        ("/site.webmanifest", "application/manifest+json", "no-cache"),
        ("/licences", "application/octet-stream", "no-cache"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
        let found = answer.header("cache-control");
        assert_eq!(found, Some(cache_control), "{path}");
        let found = answer.header("x-content-type-options");
        assert_eq!(found, Some("nosniff"), "{path}");
    }
    assert_eq!(server.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_compressed_for_who_takes_it() {
    let (_fresh, server) = serve().await;
    let get = |encodings| send(&server, Method::GET, SCRIPT, ("Accept-Encoding", encodings));
    let plain = get("identity").await;
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.text, "console.log(1);\n".repeat(200));
    let refused = get("gzip;q=0, br").await;
    assert_eq!(refused.header("content-encoding"), None);
    let gzip = get("gzip, deflate, br").await;
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    for answer in [&plain, &gzip] {
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    }
    let length = |answer: &Answer| -> usize {
        let length = answer.header("content-length").expect("a length");
        length.parse().expect("a number")
    };
    assert!(length(&gzip) * 5 < length(&plain));
    assert_eq!(server.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_read_and_nothing_else() {
    let (_fresh, server) = serve().await;
    for path in ["/", "/new-email", SCRIPT, "/robots.txt"] {
        let head = send(&server, Method::HEAD, path, ("Accept", "*/*")).await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
        let get = server.get(path).await;
        for name in ["content-type", "cache-control", "content-security-policy"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let method = method.parse().expect("a method");
            let answer = send(&server, method, path, ("Accept", "text/html")).await;
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{path}");
        }
    }
    assert_eq!(server.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_path_is_a_problem_for_programs_and_a_page_for_people() {
    let (_fresh, server) = serve().await;
    for path in [
        "/nowhere",
        "/index.html",
        "/new-email/",
        "/assets",
        "/assets/",
        "/assets/index-OLD.js",
        "/docs/",
        "/dev/mailbox",
    ] {
        server.get(path).await.problem(404, "not_found");
        assert_page(&navigate(&server, path).await, 404);
        let post = send(&server, Method::POST, path, ("Accept", "text/html")).await;
        post.problem(404, "not_found");
    }
    for path in ["/v1/nowhere", "/v1", "/v1/"] {
        let answer = navigate(&server, path).await;
        assert_eq!(answer.status.as_u16(), 404, "{path}");
    }
    navigate(&server, "/v1/nowhere")
        .await
        .problem(404, "not_found");
    navigate(&server, "/v1/session")
        .await
        .problem(405, "method_not_allowed");
    server.get("/healthz").await.ok(200);
    server.get("/openapi.json").await.ok(200);
    assert_eq!(server.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_and_no_link_leads_out_of_the_folder() {
    let mut fresh = Fresh::on_sqlite();
    let root = fresh.shell.path().join("pages");
    build(&root);
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, root.join(name)).expect("a link");
    };
    link(&root.join("../secret.txt"), "linked.txt");
    link(Path::new("../../secret.txt"), "assets/linked.js");
    link(Path::new(".."), "up");
    link(Path::new("."), "itself");
    link(Path::new("/etc"), "etc");
    link(Path::new("nowhere"), "dangling.txt");
    link(Path::new("robots.txt"), "inside.txt");
    let (_fresh, server) = serve_folder(&mut fresh, &root).await;
    for path in [
        "/linked.txt",
        "/assets/linked.js",
        "/up/secret.txt",
        "/itself/robots.txt",
        "/etc/passwd",
        "/dangling.txt",
        "/.env",
        "/.git/config",
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "//secret.txt",
        "/./../secret.txt",
        "/robots.txt%00.js",
        "/robots%2etxt",
        "//etc/passwd",
        "/assets//etc/passwd",
    ] {
        // Over the bare socket: a client would tidy the path up.
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = exchange(&server.url, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(
            !answer.contains(CANARY) && !answer.contains("root:"),
            "{path}: {answer}"
        );
    }
    let inside = server.get("/inside.txt").await;
    assert_eq!(inside.text, "content of it", "a link that stays inside");
    write(&root, "later.txt", "put there after the start");
    server.get("/later.txt").await.problem(404, "not_found");
    assert_eq!(server.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_without_the_pages_is_refused_at_start() {
    let mut fresh = Fresh::on_sqlite();
    fresh.migrate().await;
    fresh.configure("smtp://127.0.0.1:1?tls=none");
    let empty = fresh.shell.path().join(CANARY);
    let says = ["READDRESS_WEB_ROOT", "index.html", "scripts/build-web"];
    for made in [false, true] {
        if made {
            write(&empty, "other.html", "");
        }
        let root = empty.to_str().expect("UTF-8");
        fresh.shell.set("READDRESS_WEB_ROOT", root);
        for command in ["serve", "check", "dev"] {
            assert_refused(&fresh.shell.run(&[command]).await, &says);
        }
    }
    write(&empty, "index.html", INDEX);
    write(&empty, "huge.bin", &"x".repeat(17 * 1024 * 1024));
    let refused = fresh.shell.run(&["serve"]).await;
    assert_refused(&refused, &["READDRESS_WEB_ROOT", "16 MiB"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_variable_there_are_no_pages() {
    let mut fresh = Fresh::on_sqlite();
    assert_good(&fresh.shell.run(&["migrate", "up"]).await);
    fresh.configure("smtp://127.0.0.1:1?tls=none");
    // Only `dev` looks for them by itself.
    build(&fresh.shell.path().join("web/dist"));
    let server = fresh.shell.start("serve").await;
    for path in PAGES.iter().copied().chain([SCRIPT, "/nowhere"]) {
        navigate(&server, path).await.problem(404, "not_found");
    }
    assert_eq!(server.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_finds_the_built_pages_and_tells_them_where_the_mailbox_is() {
    let shell = Shell::new().with("READDRESS_LISTEN", "127.0.0.1:0");
    build(&shell.path().join("web/dist"));
    let dev = shell.start("dev").await;
    let mark = format!(
        "<meta name=\"readdress-demo\" content=\"{MAILBOX}\" \
         data-email=\"{DEMO_USER}\" data-password=\"{DEMO_PASSWORD}\">"
    );
    for path in PAGES {
        let answer = dev.get(path).await;
        assert_page(&answer, 200);
        assert_eq!(answer.text, INDEX.replace("<!-- readdress-demo -->", &mark));
    }
    let greeting = dev.stdout();
    for line in [
        format!("Try it    {}/ ", dev.url),
        format!("{}{MAILBOX}", dev.url),
        format!("{}/docs", dev.url),
    ] {
        assert!(greeting.contains(&line), "{line}: {greeting}");
    }
    let mailbox = dev.get(MAILBOX).await;
    assert!(mailbox.text.contains("<h1>Mailbox</h1>"));
    assert_eq!(dev.end("TERM").await.0, Some(0));

    let elsewhere = shell.path().join("elsewhere");
    write(&elsewhere, "index.html", "elsewhere");
    let root = elsewhere.to_str().expect("UTF-8").to_owned();
    let shell = shell.with("READDRESS_WEB_ROOT", &root);
    let dev = shell.start("dev").await;
    assert_eq!(dev.get("/").await.text, "elsewhere");
    assert_eq!(dev.end("TERM").await.0, Some(0));
}
