//! A call of a gRPC method in this process, by its descriptor: no socket, the same handlers.
use super::problem::Problem;
use axum::{
    body::{Body, Bytes},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use std::convert::Infallible;
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    metadata::MetadataMap,
    service::Routes,
};

/// What came with a request beside its message: for whoever checks who asks.
#[derive(Debug)]
pub struct Beside {
    pub headers: HeaderMap,
    pub extensions: Extensions,
}

/// Calls a method; its answer as JSON, or as a JSON text a line where it streams.
///
/// # Errors
/// What the method refuses with.
pub async fn call(
    routes: Routes,
    method: &MethodDescriptor,
    message: DynamicMessage,
    beside: Beside,
) -> Result<Response, Problem> {
    // Both sides are this process: what the server may say, it may read.
    let mut client = Grpc::new(routes).max_decoding_message_size(usize::MAX);
    let Ok(()) = client.ready().await.map_err(|never: Infallible| match never {});
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
    let request = Request::from_parts(metadata(beside.headers), beside.extensions, message);
    let codec = Dynamic(method.output());
    if method.is_server_streaming() {
        let stream = client.server_streaming(request, path, codec).await?.into_inner();
        return Ok(answer("application/x-ndjson", Body::from_stream(lines(stream))));
    }
    let reply = client.unary(request, path, codec).await?.into_inner();
    Ok(answer("application/json", Body::from(json(&reply)?)))
}

fn answer(content_type: &'static str, body: Body) -> Response {
    // Alerts hold what others wrote: a browser must not take it for a page.
    let safe = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type)), safe, fresh], body).into_response()
}

/// The messages of a stream, each as it comes; an error is the last line. Whoever drops it ends the call.
fn lines(stream: Streaming<DynamicMessage>) -> impl futures::Stream<Item = Result<Bytes, Infallible>> {
    futures::stream::unfold(Some(stream), |stream| async {
        let mut stream = stream?;
        let line = match stream.message().await {
            Ok(Some(message)) => json(&message),
            Ok(None) => return None,
            Err(status) => Err(status),
        };
        let (mut line, stream) = match line {
            Ok(line) => (line, Some(stream)),
            Err(status) => (Problem::from(status).body().to_string().into_bytes(), None),
        };
        line.push(b'\n');
        Some((Ok(Bytes::from(line)), stream))
    })
}

/// Protobuf's JSON form: fields at their default are left out, 64-bit integers are texts.
fn json(message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let mut text = Vec::new();
    let options = SerializeOptions::new();
    let written = message.serialize_with_options(&mut serde_json::Serializer::new(&mut text), &options);
    written.map_err(|error| Status::internal(format!("the answer has no JSON form: {error}")))?;
    Ok(text)
}

/// The headers of a request, but for those that speak of its connection and its body.
fn metadata(headers: HeaderMap) -> MetadataMap {
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        let of_the_body = ["content-", "accept", "grpc-", "if-"].iter().any(|prefix| name.starts_with(prefix));
        let of_the_connection =
            ["connection", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
        !of_the_body && !of_the_connection.contains(&name)
    };
    let mut kept = HeaderMap::new();
    for (name, value) in &headers {
        if passes(name) {
            kept.append(name, value.clone());
        }
    }
    MetadataMap::from_headers(kept)
}

/// Messages by their descriptors; this is the one of the answer.
struct Dynamic(MessageDescriptor);

struct Encode;

struct Decode(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Encode;
    type Decoder = Decode;

    fn encoder(&mut self) -> Encode {
        Encode
    }

    fn decoder(&mut self) -> Decode {
        Decode(self.0.clone())
    }
}

impl Encoder for Encode {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(into).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Decode {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_says_of_itself_passes_and_what_it_says_of_the_body_does_not() {
        let mut headers = HeaderMap::new();
        for name in
            ["authorization", "x-request-id", "content-length", "te", "grpc-encoding", "accept-encoding", "host"]
        {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let passed = metadata(headers).into_headers();
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "x-request-id"]);
    }
}
