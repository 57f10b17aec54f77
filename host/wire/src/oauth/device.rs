//! Logging in on another device (RFC 8628).

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep};
use whimbrel_model::{Failure, Secret};

use super::client::{Answer, Client, Granted, Number};

/// How much longer to wait after `slow_down`, and where the server names no interval (section 3.5).
const STEP: Duration = Duration::from_secs(5);

/// How long a code is waited for at most, whatever the server says.
const LONGEST: Duration = Duration::from_secs(3600);

/// A code for somebody to type.
#[derive(Debug)]
pub struct DeviceCode {
    /// What is typed.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, where the server gives that.
    pub verification_uri_complete: Option<String>,
    /// How long there is time.
    pub lifetime: Duration,
    code: Secret,
    pub(super) interval: Duration,
    pub(super) step: Duration,
}

#[derive(Deserialize)]
struct CodeAnswer {
    device_code: String,
    user_code: String,
    // An older draft, and a large provider still, call it so.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<String>,
    expires_in: Option<Number>,
    interval: Option<Number>,
}

impl Client {
    /// Asks for a code.
    ///
    /// # Errors
    /// As [`Client::refresh`]; `InvalidSettings` where the provider has no such endpoint.
    pub async fn device_code(&self, login: &str) -> Result<DeviceCode, Failure> {
        let provider = self.provider();
        let Some(endpoint) = &provider.device else {
            return Err(Failure::InvalidSettings(format!(
                "login `{}` has no `device_url`: add it to [oauth.{0}], or choose another `flow`",
                provider.name
            )));
        };
        let scopes = provider.scopes.join(" ");
        let form: &[(&str, &str)] = match scopes.is_empty() {
            true => &[],
            false => &[("scope", &scopes)],
        };
        match self.post::<CodeAnswer>(endpoint, form).await? {
            Answer::Refused(code) => Err(code.failure(&provider.name, &endpoint.place(), login)),
            Answer::Given(answer) => Ok(DeviceCode {
                user_code: answer.user_code,
                verification_uri: answer.verification_uri,
                verification_uri_complete: answer.verification_uri_complete,
                lifetime: answer
                    .expires_in
                    .and_then(|number| number.seconds())
                    .map_or(LONGEST, |lifetime| lifetime.min(LONGEST)),
                code: Secret::new(answer.device_code),
                interval: answer.interval.and_then(|number| number.seconds()).unwrap_or(STEP),
                step: STEP,
            }),
        }
    }

    /// Waits until somebody has entered the code.
    ///
    /// # Errors
    /// `Unauthenticated` where the user did not agree or the time ran out; else as [`Client::refresh`]. What may pass is
    /// waited for as long as the code is good.
    pub async fn device_tokens(&self, device: &DeviceCode, login: &str) -> Result<Granted, Failure> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device.code.expose()),
        ];
        let end = Instant::now() + device.lifetime;
        let mut interval = device.interval;
        loop {
            if Instant::now() + interval > end {
                return Err(self.refused(&super::refusal::Code::new("expired_token"), login));
            }
            sleep(interval).await;
            match self.post(&self.provider().token, &form).await {
                Ok(Answer::Given(answer)) => return self.granted(answer),
                Ok(Answer::Refused(code)) if code.is("authorization_pending") => {}
                Ok(Answer::Refused(code)) if code.is("slow_down") => interval += device.step,
                Ok(Answer::Refused(code)) => return Err(self.refused(&code, login)),
                // Twice as long each time (section 3.5).
                Err(failure) if failure.retry_may_help() => interval = (interval * 2).max(device.step),
                Err(failure) => return Err(failure),
            }
        }
    }
}
