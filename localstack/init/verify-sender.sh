#!/bin/sh
# Mail comes from a verified address; on AWS somebody clicks the link that SES mails.
exec awslocal ses verify-email-identity --email-address "${SENDER:-no-reply@remit.example}"
