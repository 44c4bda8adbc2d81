//! A long list in parts: the caller shows the first users while the rest is being sent, and gets a summary of
//! another type at the end.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wamp_client::{ArgsKwargs, Failure, Invocation, Kwargs, connect};
use wamp_router::Router;

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
    age: u8,
}

#[derive(Serialize, Deserialize)]
struct Summary {
    users: usize,
    mean_age: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::default();
    let url = router.listen("127.0.0.1:0").await?.rs_url();

    let callee = connect(&url).await?;
    callee.register("com.example.users", users).await?;

    let caller = connect(&url).await?;
    let call = caller.call("com.example.users").kwarg("country", "is");
    let mut chunks = call.progressive::<Vec<User>>().await?;
    while let Some(chunk) = chunks.try_next().await? {
        for User { name, age } in chunk {
            println!("{name}, {age}");
        }
        println!("…");
    }
    let Kwargs(Summary { users, mean_age }) = chunks.finish().await?;
    println!("{users} users, {mean_age:.1} years old on average");

    router.shut_down().await;
    Ok(())
}

#[derive(Deserialize)]
struct Query {
    country: String,
}

async fn users(call: Invocation) -> Result<ArgsKwargs<(), Summary>, Failure> {
    let Query { country } = call.kwargs()?;
    let users: Vec<User> =
        (20..32).map(|age| User { name: format!("user {age} of {country}"), age }).collect();
    if let Some(progress) = call.progress() {
        for chunk in users.chunks(4) {
            // One argument, a list; waits while the caller is behind.
            progress.send(chunk.to_vec()).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    let mean_age = users.iter().map(|user| f64::from(user.age)).sum::<f64>() / users.len() as f64;
    Ok(ArgsKwargs((), Summary { users: users.len(), mean_age }))
}
