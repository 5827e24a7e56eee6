"""What auth_svc's mails say (`texts`) and how they look (`rendering`); `lib.mail` sends them."""
