"""What tests of several seams share: a clock they own, requests as API Gateway sends them, the template's tables."""
