//! An upload with progress: the caller sends a file in chunks, and the callee reports its progress after each.

use wamp_client::{Bytes, Failure, Invocation, connect};
use wamp_router::Router;

const FILE: &[u8] = include_bytes!("upload.rs");

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::default();
    let url = router.listen("127.0.0.1:0").await?.rs_url();

    let callee = connect(&url).await?;
    callee.register("com.example.upload", upload).await?;

    let caller = connect(&url).await?;
    let call = caller.call("com.example.upload").args(("upload.rs", FILE.len()));
    let (mut up, mut down) = call.duplex::<usize>().await?;
    for chunk in FILE.chunks(512) {
        up.send(Bytes::from_static(chunk)).await?;
        if let Some(percent) = down.try_next().await? {
            println!("{percent} %");
        }
    }
    up.end().await?;
    let answer: String = down.finish().await?;
    println!("{answer}");

    router.shut_down().await;
    Ok(())
}

async fn upload(call: Invocation) -> Result<String, Failure> {
    let (name, length): (String, usize) = call.args()?;
    let mut received = 0;
    let mut chunks = call.more_chunks::<Bytes>();
    while let Some(chunk) = chunks.try_next().await? {
        received += chunk.len();
        if let Some(progress) = call.progress() {
            progress.send(received * 100 / length).await?;
        }
    }
    Ok(format!("{name} has arrived: {}", if received == length { "all of it" } else { "not all of it" }))
}
