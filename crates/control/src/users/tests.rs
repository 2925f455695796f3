use keytoll_domain::user::StaffRole;
use keytoll_store::testing::on_each_engine;

use super::*;
use crate::staff;
use crate::testing::Bench;

const PASSWORD: &str = "correct horse battery";

fn sign_up_as(email: &str) -> SignUp {
    SignUp {
        email: email.into(),
        password: Password::new(PASSWORD.into()),
        partner_name: "Acme (demo)".into(),
        address: None,
    }
}

fn log_in_as(email: &str, password: &str) -> LogIn {
    LogIn { email: email.into(), password: Password::new(password.into()), address: None }
}

#[tokio::test]
async fn sign_up_makes_an_owner_with_a_session_until_log_out() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        let signed = sign_up(ctx, sign_up_as(" Ada@Example.com")).await.unwrap();
        let secret = signed.secret.expose();
        let found = session(ctx, secret).await.unwrap().unwrap();
        assert_eq!(found.email, "ada@example.com");
        assert_eq!(found.actor.partners, [(signed.partner.unwrap(), PartnerRole::Owner)]);
        let debug = format!("{signed:?} {:?}", sign_up_as("a@b"));
        assert!(!debug.contains(secret) && !debug.contains(PASSWORD));
        log_out(ctx, secret).await.unwrap();
        assert!(session(ctx, secret).await.unwrap().is_none());
        assert!(session(ctx, "").await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn sign_up_refuses_a_taken_address_and_bad_input() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        sign_up(ctx, sign_up_as("ada@example.com")).await.unwrap();
        let taken = sign_up(ctx, sign_up_as("ADA@example.com")).await.unwrap_err();
        assert!(matches!(taken, SignUpError::EmailTaken), "{taken:?}");
        for password in ["short", &"x".repeat(201)] {
            let password = Password::new(password.to_owned());
            let bad = SignUp { password, partner_name: " ".into(), ..sign_up_as("nobody") };
            let error = sign_up(ctx, bad).await.unwrap_err();
            let SignUpError::Invalid(faults) = error else { panic!("{error:?}") };
            let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
            assert_eq!(pointers, ["/email", "/password", "/partner_name"]);
        }
    })
    .await;
}

#[tokio::test]
async fn log_in_answers_the_same_for_a_wrong_password_and_an_unknown_address() {
    on_each_engine(async |db| {
        let bench = Bench::new(db);
        let ctx = &bench.ctx;
        sign_up(ctx, sign_up_as("ada@example.com")).await.unwrap();
        for (email, password) in
            [("ada@example.com", "wrong horse battery"), ("eve@example.com", PASSWORD)]
        {
            let error = log_in(ctx, log_in_as(email, password)).await.unwrap_err();
            assert!(matches!(error, LogInError::Wrong), "{error:?}");
        }
        let signed = log_in(ctx, log_in_as("Ada@example.com", PASSWORD)).await.unwrap();
        assert!(session(ctx, signed.secret.expose()).await.unwrap().is_some());
        bench.clock.set(signed.expires_at);
        assert!(session(ctx, signed.secret.expose()).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn log_in_waits_after_ten_failures() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        for _ in 0..10 {
            let wrong = log_in(ctx, log_in_as("eve@example.com", "wrong horse battery")).await;
            assert!(matches!(wrong, Err(LogInError::Wrong)));
        }
        let error = log_in(ctx, log_in_as("eve@example.com", PASSWORD)).await.unwrap_err();
        assert!(matches!(error, LogInError::TooMany { retry_after_secs: 900 }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn an_address_that_waits_locks_nobody_out() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        sign_up(ctx, sign_up_as("ada@example.com")).await.unwrap();
        let address = "192.0.2.66";
        while ctx.throttle.enter(Subject::Address(address), ctx.now()).is_ok() {}
        for _ in 0..10 {
            let guess = log_in_as("ada@example.com", "wrong horse battery");
            let guess = log_in(ctx, LogIn { address: Some(address.into()), ..guess }).await;
            assert!(matches!(guess, Err(LogInError::TooMany { .. })), "{guess:?}");
        }
        log_in(ctx, log_in_as("ada@example.com", PASSWORD)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn staff_are_made_by_admins_and_owners_by_owners() {
    on_each_engine(async |db| {
        let ctx = &Bench::new(db).ctx;
        let new = |email: &str, role| staff::NewStaff {
            email: email.into(),
            password: Password::new(PASSWORD.into()),
            role,
        };
        staff::create(ctx, &Actor::cli(), new("admin@example.com", StaffRole::Admin))
            .await
            .unwrap();
        let signed = log_in(ctx, log_in_as("admin@example.com", PASSWORD)).await.unwrap();
        let admin = session(ctx, signed.secret.expose()).await.unwrap().unwrap().actor;
        assert_eq!(admin.staff, Some(StaffRole::Admin));
        let owner = staff::create(ctx, &admin, new("o@example.com", StaffRole::Owner)).await;
        assert!(matches!(owner, Err(staff::StaffError::Denied(_))));
        let again = staff::create(ctx, &admin, new("admin@example.com", StaffRole::Viewer)).await;
        assert!(matches!(again, Err(staff::StaffError::EmailTaken)));
    })
    .await;
}
