#!/bin/sh
# Verify the sender of mails. On AWS this is done by clicking the link that SES sends to it.
exec awslocal ses verify-email-identity --email-address "${SENDER:-no-reply@remit.example}"
