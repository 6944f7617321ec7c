//! The long poll: an order comes at once, and nobody waits for ever.

use std::time::{Duration, Instant};

use crate::support::{TestServer, everybody, within};

#[tokio::test]
async fn a_waiting_device_gets_its_order_as_soon_as_it_is_given() {
    let server = TestServer::start().await;
    server.import_approved("1.27.3").await;
    let (device, client, _) = server.enrol("one").await;
    let waiting = tokio::spawn(async move {
        let order = client.order(None, Duration::from_secs(50)).await;
        (order, client)
    });
    server.admin().start(&everybody("1.27.3")).await.unwrap();
    let (order, client) = within(waiting).await.unwrap();
    let order = order.unwrap().expect("within the deadline of the test, not of the poll");
    assert_eq!((&order.device, order.generation), (&device, 1));
    let again = client.order(None, Duration::ZERO).await.unwrap();
    assert_eq!(again.as_ref(), Some(&order), "asked again without an answer, it is the same");
    assert_eq!(client.order(Some(1), Duration::ZERO).await.unwrap(), None);
}

#[tokio::test]
async fn a_poll_ends_without_news_in_time() {
    let server = TestServer::start().await;
    let (_, client, _) = server.enrol("one").await;
    let began = Instant::now();
    assert_eq!(client.order(None, Duration::from_secs(1)).await.unwrap(), None);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}: at most a tenth earlier than asked");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test]
async fn waiting_devices_and_readers_do_not_hold_up_a_stop() {
    let server = TestServer::start().await;
    let (_, client, _) = server.enrol("one").await;
    let mut events = server.admin().events(None);
    events.connect().await.unwrap();
    let poll = tokio::spawn(async move { client.order(None, Duration::from_secs(50)).await });
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(9), "it was cut, not ended");
    // Ended without news, or never begun: either way the agent asks again.
    if let Ok(order) = within(poll).await.unwrap() {
        assert_eq!(order, None);
    }
}
