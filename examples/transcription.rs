//! A bidirectional stream: sound is sent while sentences come back, neither waiting for the other.

use wamp_client::{Failure, Invocation, connect};
use wamp_router::Router;

/// In a real program this would come from a microphone.
const SOUND: &str = "It was a bright cold day in April. The clocks were striking thirteen. Nobody minded.";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::default();
    let url = router.listen("127.0.0.1:0").await?.rs_url();

    let callee = connect(&url).await?;
    callee.register("com.example.transcribe", transcribe).await?;

    let caller = connect(&url).await?;
    let (mut up, mut down) = caller.call("com.example.transcribe").duplex::<String>().await?;
    let speaking = tokio::spawn(async move {
        for word in SOUND.split_inclusive(' ') {
            up.send(word).await?;
        }
        up.end().await
    });
    while let Some(sentence) = down.try_next().await? {
        println!("{sentence}");
    }
    let words: usize = down.finish().await?;
    println!("({words} words)");
    speaking.await??;

    router.shut_down().await;
    Ok(())
}

async fn transcribe(call: Invocation) -> Result<usize, Failure> {
    let progress = call.progress().ok_or_else(|| Failure::new("com.example.error.stream_only"))?;
    let (mut words, mut sentence) = (0, String::new());
    let mut sound = call.chunks::<String>();
    while let Some(word) = sound.try_next().await? {
        words += 1;
        sentence += &word;
        if sentence.trim_end().ends_with('.') {
            progress.send(sentence.trim_end()).await?;
            sentence.clear();
        }
    }
    Ok(words)
}
